"""What each command takes."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from outrider.runtime.cli.commands import __path__ as command_files
from outrider.runtime.cli.commands.grouped import FOLDERS
from outrider.runtime.cli.options import COMMANDS


@pytest.mark.parametrize("add_arguments", COMMANDS)
def test_every_flag_says_what_it_means(add_arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert [action.option_strings for action in parser._actions if not action.help] == []


def test_every_command_has_its_arguments_and_its_file(outrider):
    (folder,) = command_files
    names = {command.__name__ for command in COMMANDS}
    files = {path.stem for path in Path(folder).glob("[!_]*.py")} - {"grouped"}
    assert names == files | {*FOLDERS} | {"bench", "merge"}
    assert (Path(folder).parent / "workers" / "merge.py").is_file()
    assert (Path(folder).parent / "cost" / "bench.py").is_file()
    for name in names:
        result = outrider(name, "--help")
        assert result.code == 0
        assert result.out.startswith(f"usage: outrider {name} ")
