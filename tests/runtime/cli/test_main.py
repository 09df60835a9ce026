"""The start of the command line: what is imported before a command runs, and what a first use is told."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numba
import pytest

from outrider.runtime.cli.commands import __path__ as command_files
from outrider.runtime.cli.compile_notice import telling_of_compilation
from outrider.runtime.cli.options import COMMANDS

HEAVY = {"matplotlib", "numba", "numpy", "onnx", "onnxruntime", "rich", "scipy", "torch"}


def started(*arguments):
    """(exit status, what was printed, the heavy packages imported) of a command in a fresh interpreter."""
    code = (
        "import sys\n"
        "from outrider.runtime.cli.main import main\n"
        f"status = main({list(arguments)!r})\n"
        "print(status, *(name for name in sys.modules if '.' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, last = done.stdout.splitlines()
    status, *modules = last.split()
    return int(status), done.stdout + done.stderr, HEAVY.intersection(modules)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "usage: outrider [-h]"),
        (["--version"], 0, f"outrider {metadata.version('outrider')}\n"),
        (["profile", "--help"], 0, "usage: outrider profile [-h]"),
        ([], 2, "outrider: error: the following arguments are required: COMMAND"),
        (["watch", "x.outrider", "drive.mp4", "--alarm", "5/3"], 2, "outrider: error: argument --alarm: expected K/N"),
        (["profile", "--criterion", "multi_range(sections=8)"], 2, "the following arguments are required: NETWORK"),
    ],
)
def test_help_and_mistakes_are_answered_before_anything_is_imported(arguments, status, said):
    code, text, heavy = started(*arguments)
    assert (code, heavy) == (status, set())
    assert said in text


def test_every_command_has_its_arguments_and_its_file(outrider):
    (folder,) = command_files
    names = {command.__name__ for command in COMMANDS}
    assert names == {path.stem for path in Path(folder).glob("[!_]*.py")}
    for name in names:
        result = outrider(name, "--help")
        assert result.code == 0
        assert result.out.startswith(f"usage: outrider {name} ")


def test_compilation_is_told_once():
    told = []
    with telling_of_compilation(told.append):
        numba.njit("int64(int64)")(lambda x: x + 1)
        numba.njit("int64(int64)")(lambda x: x + 2)
    assert len(told) == 1
    assert told[0].startswith("compiling the kernels")


@pytest.mark.parametrize("quiet", [True, False])
def test_nothing_is_told_where_nothing_is_compiled_or_heard(quiet):
    told = []
    with telling_of_compilation(told.append, quiet=quiet):
        if quiet:
            numba.njit("int64(int64)")(lambda x: x + 1)
    assert told == []
