"""A cache that cannot be written is read all the same: the second start compiles nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.coverage.kernels import compiling, read_only_cache

CALLER = """
from numba import int64
from .compiling import compiled

@compiled(int64, returns=int64)
def more(x):
    return x + 1
"""
# Root may write anywhere: for it the folder is said to be one that it cannot write.
START = """
import os, sys, tempfile
if sys.argv[1] == "read-only":
    def refused(*_, **__): raise PermissionError("read-only")
    tempfile.TemporaryFile = refused
    access, os.access = os.access, lambda path, mode: mode != os.W_OK and access(path, mode)
from numba.core import event
class Heard(event.Listener):
    count = 0
    def on_start(self, _): self.count += 1
    def on_end(self, _): pass
heard = Heard()
event.register("numba:compile", heard)
from kernels.caller import more
print(more(1), sum(more.stats.cache_hits.values()), heard.count)
"""


@pytest.fixture
def start(tmp_path):
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").touch()
    for module in (compiling, read_only_cache):
        source = Path(module.__file__)
        (package / source.name).write_bytes(source.read_bytes())
    (package / "caller.py").write_text(CALLER)

    def run(way, **settings):
        without = {name: value for name, value in os.environ.items() if name not in ("HOME", "NUMBA_CACHE_DIR")}
        done = subprocess.run(
            [sys.executable, "-B", "-c", START, way], cwd=tmp_path, env=without | settings, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        return [int(word) for word in done.stdout.split()]

    return run


@pytest.mark.parametrize("named", [True, False], ids=["NUMBA_CACHE_DIR", "beside the source"])
def test_a_second_start_finds_what_the_first_kept(start, tmp_path, named):
    (tmp_path / "cache").mkdir()
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")} if named else {}
    assert start("read-only", **settings) == [2, 0, 1]  # nothing is there: compiled, and not kept
    assert start("read-only", **settings) == [2, 0, 1]
    assert start("writable", **settings) == [2, 0, 1]
    kept = sorted(path.name for path in tmp_path.rglob("*.nb?"))
    assert len(kept) == 2
    assert start("read-only", **settings) == [2, 1, 0]
    assert sorted(path.name for path in tmp_path.rglob("*.nb?")) == kept


def test_a_cache_of_another_processor_is_left_alone(start, tmp_path):
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert start("writable", NUMBA_CPU_NAME="generic", **settings) == [2, 0, 1]
    assert start("read-only", **settings) == [2, 0, 1]
    assert start("read-only", NUMBA_CPU_NAME="generic", **settings) == [2, 1, 0]


def test_a_kernel_of_it_takes_no_other_arguments():
    kernel = read_only_cache.read_or_compiled([compiling.int64(compiling.int64)], lambda x: x + 1, nogil=True)
    assert kernel(2) == 3
    with pytest.raises(TypeError, match="No matching definition"):
        kernel("2")
