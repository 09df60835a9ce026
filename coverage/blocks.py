"""Many rows of a frame compared a block at a time: products of matrices, which BLAS does many times as fast as loops.

What BLAS makes of a row depends on how many rows there are and where the row stands. So each frame is cut alike,
whatever else is compared in the same call, and its rows have the same bits alone and in a batch. NumPy's BLAS may use
several threads for a product; OMP_NUM_THREADS=1 or OPENBLAS_NUM_THREADS=1 before Python starts keeps it to one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FEWEST = 16
"""A frame of fewer rows is compared by loops."""
_STRIP = 64  # columns
_ALIGNED = 64  # bytes: some BLAS round otherwise elsewhere

Compare = Callable[[np.ndarray, np.ndarray, int, np.ndarray], None]
"""(values, labels, first, out): writes the deviations of the rows of a block, of which `first` is the first."""


def in_blocks(
    n: int, rows: int, neurons: int, bound: Callable[[int], Compare], numbers: int = 2**16
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], None]:
    """What compares n rows, `rows` of each frame, in blocks.

    It allocates nothing, and does not warn of numbers that are too large.

    bound: from the number of rows of a block to what compares such a block, with arrays of its own. numbers: in an
    array of a block, few enough to stay in the cache of a core.
    """
    size = min(rows, max(numbers // neurons, FEWEST))
    cut = [(first, min(size, rows - first)) for first in range(0, rows, size)]
    of_size = {count: bound(count) for _, count in cut}
    steps = [(start + first, of_size[count]) for start in range(0, n, rows) for first, count in cut]

    def compare(values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for first, block in steps:
                block(values, labels, first, out)

    return compare


def scratch(rows: int, columns: int) -> np.ndarray:
    """(rows, columns) float32 zeros."""
    room = np.zeros(4 * rows * columns + _ALIGNED, np.uint8)
    start = -room.ctypes.data % _ALIGNED
    return room[start : start + 4 * rows * columns].view(np.float32).reshape(rows, columns)


def triangular(matrix: np.ndarray) -> list[np.ndarray]:
    """An upper triangular matrix in strips of columns without the zeros below: half the work of a product with it."""
    ends = range(_STRIP, len(matrix) + _STRIP, _STRIP)
    return [np.ascontiguousarray(matrix[:end, end - _STRIP : end]) for end in ends]


def times_triangular(rows: np.ndarray, strips: list[np.ndarray], out: np.ndarray) -> None:
    """Write the product of rows (n, neurons) and a matrix as of `triangular` to `out`, of that shape."""
    start = 0
    for strip in strips:
        end = start + strip.shape[1]
        np.matmul(rows[:, : len(strip)], strip, out=out[:, start:end])
        start = end
