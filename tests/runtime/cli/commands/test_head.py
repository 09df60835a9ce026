"""`outrider head`: its commands are found, and their mistakes are answered in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.runtime.cli.heads import __path__ as files
from outrider.runtime.cli.options.heads import HEAD_COMMANDS

from ..outcomes import error_of


def test_every_command_has_its_file_and_its_help(outrider):
    (folder,) = files
    names = {command.__name__ for command in HEAD_COMMANDS}
    for name in names:
        assert Path(folder, f"{name}.py").is_file()
        result = outrider("head", name, "--help")
        assert result.code == 0
        assert result.out.startswith(f"usage: outrider head {name} ")
        assert "--config FILE" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("head",), "ACTION"),
        (("head", "seek"), "seek"),
        (("head", "check", "model"), "FILE, --guard"),
        (("head", "search", "m", "-o", "x", "--statistic", "no_such", "--labelled", "p.jsonl"), "p.jsonl"),
    ],
)
def test_a_mistake_is_one_sentence(outrider, arguments, message):
    assert message in error_of(outrider(*arguments))


def test_a_configuration_file_gives_the_flags_of_its_command(outrider, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n')
    (tmp_path / "c.yaml").write_text("guard: none.outrider\nbatch-size: 2\n")
    assert "none.outrider" in error_of(outrider("head", "check", "m", "p.jsonl", "--config", "c.yaml"))
    (tmp_path / "c.yaml").write_text("permutation: 2\n")
    said = error_of(outrider("head", "search", "m", "-o", "x", "--config", "c.yaml"))
    assert "did you mean permutations" in said
