"""Kernels compile once, for the dtypes they name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import float32, int64

from outrider.coverage.kernels import compiling, ranges, read_only_cache

from .made_up import CLASSES, NEURONS


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, NEURONS)), np.zeros((NEURONS, 2), np.float32).T, np.zeros(NEURONS, np.float32)],
    ids=["float64", "strided", "one axis"],
)
def test_wrong_dtypes_and_strides_raise_at_once_and_compile_nothing(wrong):
    before = len(ranges.range_outside.signatures)
    bounds = np.zeros((CLASSES, NEURONS), np.float32)
    with pytest.raises(TypeError, match="No matching definition"):
        ranges.range_outside(wrong, np.zeros(2, np.int64), bounds, bounds, np.zeros(2, np.float32))
    assert len(ranges.range_outside.signatures) == before


def first(values):
    return int64(values[0, 0])


def test_codes_give_a_second_signature():
    kernel = compiling.compiled(compiling.VALUES, returns=int64, codes=[compiling.CODES])(first)
    assert len(kernel.signatures) == 2
    assert kernel(np.full((1, 1), 3, np.float32)) == kernel(np.full((1, 1), 3, np.uint8)) == 3


def test_without_a_folder_to_cache_in_a_kernel_is_compiled_all_the_same(monkeypatch):
    def without_cache(signatures, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(signatures, **options)

    njit = compiling.njit
    monkeypatch.setattr(compiling, "njit", without_cache)
    assert compiling.compiled(compiling.read(float32, 2), returns=int64)(first)(np.ones((1, 1), np.float32)) == 1


def test_division_by_zero_raises_or_gives_infinity():
    pair = (float32, float32)
    raising = compiling.compiled(*pair, returns=float32)(lambda a, b: a / b)
    infinite = compiling.compiled(*pair, returns=float32, division="numpy")(lambda a, b: a / b)
    with pytest.raises(ZeroDivisionError):
        raising(1, 0)
    assert np.isposinf(infinite(1, 0))


def test_a_change_of_what_is_inlined_reaches_the_callers_behind_the_cache(tmp_path):
    """numba's cache looks at the caller's file alone."""
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").touch()
    for module in (compiling, read_only_cache):
        source = Path(module.__file__)
        (package / source.name).write_bytes(source.read_bytes())
    (package / "caller.py").write_text(
        "from numba import int64\nfrom .compiling import compiled\nfrom .callee import one\n\n\n"
        "@compiled(int64, returns=int64)\ndef more(x):\n    return x + one()\n"
    )
    code = "from kernels.caller import more; print(more(1), sum(more.stats.cache_hits.values()))"
    for value, hits in ((1, 0), (1, 1), (5, 0)):
        (package / "callee.py").write_text(
            f"from .compiling import inlined\n\n\n@inlined\ndef one():\n    return {value}\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [str(1 + value), str(hits)]
