"""How places above a level lie, against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from outrider.monitor.kernels.lying import lies


def lying(values, level=0.5):
    out = np.full(6, -1.0)
    count = lies(values, level, out, np.empty(values.shape, np.uint8), np.empty(values.size, np.int64))
    return count, out


def by_numpy(values, level):
    """Each number as it is described."""
    above = ~(values <= level)
    share = above.mean()
    if not above.any():
        return np.zeros(6)
    total = share * (1 - share)
    lines = [((above.mean(axis) - share) ** 2).mean() / total if total else 0 for axis in (1, 0)]
    height, width = above.shape
    cells = np.zeros((4, 4))
    np.add.at(cells, tuple(4 * i // n for i, n in zip(np.nonzero(above), (height, width), strict=True)), 1)
    p = cells[cells > 0] / above.sum()
    spread = -(p * np.log(p)).sum() / np.log(16)
    neighbours = np.concatenate([above[:, 1:][above[:, :-1]], above[1:][above[:-1]]])
    smooth = max((neighbours.mean() if len(neighbours) else 0) - share, 0)
    regions, _ = ndimage.label(above, np.ones((3, 3)))
    return np.array([np.sqrt(share), *lines, spread, smooth, np.bincount(regions[above]).max() / above.sum()])


VALUES = st.sampled_from([0, 0.5, 1, 2, np.nan, np.inf])


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=VALUES))
@settings(deadline=None)
def test_all_that_is_said(values):
    count, found = lying(values)
    assert count == (~(values <= 0.5)).sum()
    np.testing.assert_allclose(found, by_numpy(values, 0.5), atol=1e-12)


def test_rows_columns_regions_and_points_differ():
    rows, square, checkers = np.zeros((3, 8, 8), np.float32)
    rows[[1, 4]] = 1
    square[2:5, 2:5] = 1
    checkers[::2, ::2] = checkers[1::2, 1::2] = 1
    assert lying(rows)[1][[1, 2, 5]] == pytest.approx([1, 0, 0.5])
    assert lying(rows.T.copy())[1][[1, 2]] == pytest.approx([0, 1])
    assert lying(square)[1][5] == 1
    assert lying(checkers)[1][[1, 2, 4, 5]] == pytest.approx([0, 0, 0, 1])
