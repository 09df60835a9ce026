"""How kernels are compiled: explicit signatures, no GIL, no fastmath, results written to the caller's buffers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import CellType, FunctionType

from numba import float32, int64, njit, types, uint8

from .read_only_cache import cannot_be_written, read_or_compiled

_SOURCES = hashlib.sha256()
for _file in sorted(Path(__file__).parent.rglob("*.py")):
    _SOURCES.update(_file.read_bytes())


def read(dtype, dimensions: int) -> types.Array:
    """The type of a C-contiguous array that is only read."""
    return types.Array(dtype, dimensions, "C", readonly=True)


def compiled(*arguments, returns=types.void, codes=(), division="python"):
    """Compile for the arguments given, and once more with the first of them replaced by `codes`.

    division: by 0, ``python`` to raise, ``numpy`` for infinity and NaN.
    """

    def decorate(function):
        function = _keyed(function)
        signatures = [returns(*arguments)]
        if codes:
            signatures.append(returns(*codes, *arguments[len(codes) :]))
        if not cannot_be_written():
            try:
                return njit(signatures, nogil=True, cache=True, error_model=division)(function)
            except RuntimeError:  # numba finds no folder to write a cache to: a read-only image without HOME
                pass
        return read_or_compiled(signatures, function, nogil=True, error_model=division)

    return decorate


def _keyed(function):
    """The function with the digest of all kernels for a closure: numba's cache sees a change of what it inlines.

    For its cache numba looks at the file of the function itself, and at its closure.
    """
    code = function.__code__.replace(co_freevars=("sources",))
    keyed = FunctionType(code, function.__globals__, function.__name__, None, (CellType(_SOURCES.hexdigest()),))
    keyed.__module__, keyed.__qualname__, keyed.__doc__ = function.__module__, function.__qualname__, function.__doc__
    return keyed


inlined = njit(inline="always", nogil=True)
"""Make a function a part of each kernel that calls it."""

VALUES, LABELS, OUT = read(float32, 2), read(int64, 1), float32[::1]
CODES = read(uint8, 2)
ROW = read(float32, 1)

# Many columns in one call. The tables hold their neurons one behind the other. `columns` (columns, 3) says of each
# where it ends there, where its neurons begin in a row of `values` (n, any), and to which entry of a row of `out`
# (n, any) its deviation goes. `seen` (classes, columns) is 1 where the class was observed. Deviations are those of
# one column, +inf as in `alarm_uncovered_rows`. Flags are bytes: numba takes in an array of booleans more slowly.
COLUMNS = (read(int64, 2), read(uint8, 2), float32[:, ::1])
