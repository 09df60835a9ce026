"""Every command of the benchmarks starts, by `python -m` in the root, and says what it does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]
# One process for all: what takes time is the import of torch and of the rooms.
HELP = """
import runpy, sys
for command in sys.argv[1:]:
    sys.argv = [command, "--help"]
    print("==", command)
    try:
        runpy.run_module(command, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, command
"""


def test_every_command_answers_help():
    for name in ("torch", "onnxruntime", "onnx", "psutil", "gymnasium"):
        pytest.importorskip(name)
    done = subprocess.run(
        [sys.executable, "-c", HELP, *COMMANDS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = dict(part.split("\n", 1) for part in done.stdout.split("== ")[1:])
    assert sorted(said) == COMMANDS
    for command, text in said.items():
        assert text.startswith("usage: "), command
        assert len(text) > 300, command


def test_commands_named_in_documents_and_code_are_there():
    for path in (ROOT / "Makefile", ROOT / "benchmarks" / "RESULTS.md", *(ROOT / "benchmarks").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"python -m (benchmarks[\w.]*\w)", text)) <= {*COMMANDS, "benchmarks.ROOM.NAME"}, path
        assert "python benchmarks/" not in text, path
