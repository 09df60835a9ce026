from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import Tap
from outrider.networks.onnx.pooling.grids import averages, windows_of_grid


def tap(sizes, neurons):
    layout = {1: "NCL", 2: "NCHW", 3: "NCDHW"}[len(sizes)]
    return Tap("t", "relu", (2, *sizes), layout, "float32", neurons)


@pytest.mark.parametrize(
    ("sizes", "neurons", "windows"),
    [
        ((6, 8), "grid2", [(3, 3), (4, 4)]),
        ((7, 8), "grid2", [(4, 3), (4, 4)]),  # 0 to 4 and 3 to 7: they overlap
        ((7, 8), "grid3", [(3, 2), None]),  # 0 to 3, 2 to 5, 4 to 7; but 0 to 3, 2 to 6, 5 to 8
        ((5, None), "grid1", [(5, 5), None]),
    ],
)
def test_adaptive_windows_that_are_alike_have_a_size_and_a_stride(sizes, neurons, windows):
    assert windows_of_grid(tap(sizes, neurons)) == windows


def test_a_matrix_averages_window_by_window():
    np.testing.assert_array_equal(averages(tap((4,), "grid2")), np.float32([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]))
    np.testing.assert_array_equal(averages(tap((3,), "grid2")), np.float32([[0.5, 0.5, 0], [0, 0.5, 0.5]]))
    np.testing.assert_array_equal(averages(tap((2, 3), "channel")), np.full((1, 6), np.float32(1 / 6)))
