"""The windows over which the means of a map are taken."""

from __future__ import annotations

import numpy as np

from ...neurons import grid_windows
from ...tap import Tap


def averages(tap: Tap) -> np.ndarray:
    """(cells, places) float32: row i averages the i-th window of a map whose places are counted row by row."""
    k = tap.grid if tap.neurons.startswith("grid") else 1
    matrix = np.ones((1, 1), np.float32)
    for size in tap.map_sizes:
        places = np.arange(size or 0)
        rows = [((start <= places) & (places < end)) / (end - start) for start, end in grid_windows(len(places), k)]
        matrix = np.kron(matrix, np.array(rows, np.float32))
    return matrix


def windows_of_grid(tap: Tap) -> list[tuple[int, int] | None]:
    """(size, stride) of the adaptive windows of each axis, None where they differ or the axis is open."""
    return [None if size is None else _uniform(size, tap.grid) for size in tap.map_sizes]


def _uniform(n: int, k: int) -> tuple[int, int] | None:
    windows = grid_windows(n, k)
    size, stride = windows[0][1], windows[1][0] if k > 1 else n
    alike = stride and windows == [(i * stride, i * stride + size) for i in range(k)]
    return (size, stride) if alike else None
