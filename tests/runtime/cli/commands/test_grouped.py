"""`outrider head` and `outrider lab`: their commands are found, and their mistakes are answered in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.runtime.cli.heads import __path__ as heads
from outrider.runtime.cli.lab import __path__ as laboratory
from outrider.runtime.cli.options.heads import HEAD_COMMANDS
from outrider.runtime.cli.options.lab import LAB_COMMANDS

from ..outcomes import error_of

EVERY = [("head", heads, command.__name__) for command in HEAD_COMMANDS] + [
    ("lab", laboratory, name) for name in LAB_COMMANDS
]


@pytest.mark.parametrize(("group", "folder", "name"), EVERY)
def test_every_command_has_its_file_and_its_help(outrider, group, folder, name):
    assert Path(*folder, f"{name}.py").is_file()
    result = outrider(group, name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: outrider {group} {name} ")
    assert "--config FILE" in result.out


def test_no_file_of_a_group_is_without_its_command():
    for group, folder in (("head", heads), ("lab", laboratory)):
        commands = {name for one, _, name in EVERY if one == group}
        files = {path.stem: path.read_text(encoding="utf-8") for path in Path(*folder).glob("*.py")}
        assert {name for name, text in files.items() if "def run(options" in text} == commands


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("head",), "ACTION"),
        (("head", "seek"), "seek"),
        (("head", "check", "model"), "FILE, --guard"),
        (("head", "search", "m", "-o", "x", "--statistic", "no_such", "--labelled", "p.jsonl"), "p.jsonl"),
        (("lab",), "ACTION"),
        (("lab", "tuna"), "tuna"),
        (("lab", "tune", "--model", "m"), "--pairs, -o/--output"),
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
