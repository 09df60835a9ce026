"""`outrider lab`: its commands are found, and their mistakes are answered in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.runtime.cli.lab import __path__ as files
from outrider.runtime.cli.options.lab import LAB_COMMANDS

from ..outcomes import error_of


def test_every_command_has_its_file_and_its_help(outrider):
    (folder,) = files
    assert "tune" in LAB_COMMANDS
    for name in LAB_COMMANDS:
        assert Path(folder, f"{name}.py").is_file()
        result = outrider("lab", name, "--help")
        assert result.code == 0
        assert result.out.startswith(f"usage: outrider lab {name} ")
        assert "--config FILE" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lab",), "ACTION"),
        (("lab", "tuna"), "tuna"),
        (("lab", "tune", "--model", "m"), "--pairs, -o/--output"),
    ],
)
def test_a_mistake_is_one_sentence(outrider, arguments, message):
    assert message in error_of(outrider(*arguments))
