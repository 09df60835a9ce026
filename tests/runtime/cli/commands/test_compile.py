"""Compiling ahead: the command asks processes of its own, with the settings that later starts will have."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from outrider.runtime.cli import main as command_line
from outrider.runtime.cli.commands import compile as compile_command

COLD = {"compiled": 9, "loaded": 0, "folder": None, "processor": "zen"}
WARM = {"compiled": 0, "loaded": 9, "folder": "/f", "processor": "zen"}


@pytest.fixture
def starts(monkeypatch):
    """What the two processes say, and the environments that they were started with."""
    said, asked = [COLD, WARM], []

    def run(command, env, **_):
        assert command[1:] == ["-m", compile_command.__name__]
        asked.append({name: env.get(name) for name in ("NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")})
        answer = said[len(asked) - 1]
        if isinstance(answer, str):
            return SimpleNamespace(returncode=1, stderr=answer, stdout="")
        return SimpleNamespace(returncode=0, stderr="", stdout=json.dumps(answer))

    for name in ("NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    return SimpleNamespace(said=said, asked=asked)


def test_the_folder_is_made_and_the_environment_told(starts, tmp_path, capsys):
    assert command_line.main(["compile", "--to", str(tmp_path / "a/b"), "--cpu", "generic"]) == 0
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "a/b"), "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    assert starts.asked == [settings, settings]
    assert (tmp_path / "a/b").is_dir()
    assert capsys.readouterr().out == (
        "9 kernels for zen in /f, 9 of them new; another start compiled none\n"
        f"start Outrider with NUMBA_CACHE_DIR={tmp_path / 'a/b'} NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=\n"
    )


def test_without_a_folder_nothing_is_to_be_set(starts, capsys):
    assert command_line.main(["compile", "--json", "--quiet"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "kernels": 9, "compiled": 9, "folder": "/f", "processor": "zen", "environment": {}
    }  # fmt: skip
    assert said.err == ""
    assert starts.asked == [dict.fromkeys(("NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"))] * 2


def test_a_folder_that_keeps_nothing_is_an_error(starts, tmp_path, capsys):
    starts.said[1] = COLD
    assert command_line.main(["compile", "--to", str(tmp_path)]) == 2
    assert f"{tmp_path}: expected a folder that keeps the kernels, got one that kept nothing" in capsys.readouterr().err


def test_a_processor_that_there_is_not_says_so(starts, capsys):
    starts.said[0] = "Traceback\nValueError: no such processor"
    assert command_line.main(["compile", "--cpu", "z80"]) == 2
    assert "expected kernels that compile, got ValueError: no such processor" in capsys.readouterr().err


def test_every_kernel_is_found():
    """Those of this process, which has its own cache."""
    names = compile_command._modules()
    assert {"outrider.coverage.kernels.ranges", "outrider.monitor.kernels.scores", "outrider.runtime.loop.kernels"} <= {
        *names
    }
    found = compile_command._import_all()
    assert found["compiled"] + found["loaded"] > 60
    assert sys.modules["outrider.monitor.kernels.verdicts"]
