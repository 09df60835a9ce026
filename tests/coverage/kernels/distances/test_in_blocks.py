"""Rows of a block in order, and distances of products, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage.kernels.distances import in_blocks

from ..made_up import CLASSES, labels, table


@pytest.mark.parametrize(("first", "rows"), [(0, 9), (3, 5), (8, 1)])
def test_rows_come_in_the_order_of_their_classes(first, rows):
    c, ends, order = labels(9), np.full(CLASSES, -1), np.full(rows, -1)
    in_blocks.order_of_classes(c, first, ends, order)
    block = c[first : first + rows]
    np.testing.assert_array_equal(order, np.argsort(block, kind="stable"))
    np.testing.assert_array_equal(ends, np.cumsum(np.bincount(block, minlength=CLASSES)))


def test_steps_from_means_and_from_a_centre():
    x, means, out = table(0, (9, 5)), table(1, (CLASSES, 5)), np.empty((4, 5), np.float32)
    order = np.array([2, 0, 3, 1])
    in_blocks.from_means(x, labels(9), means, 3, order, out)
    np.testing.assert_array_equal(out, x[3 + order] - means[labels(9)[3 + order]])
    in_blocks.from_centre(x, means[1], 5, out)
    np.testing.assert_array_equal(out, x[5:] - means[1])


@pytest.mark.parametrize("neurons", [1, 3, 4, 11])
def test_norms_go_where_their_rows_stand(neurons):
    rows, out = table(0, (4, neurons), -2, 2), np.full(7, -1, np.float32)
    rows[1], rows[2, 0] = 3e38, np.nan
    order = np.array([3, 0, 1, 2])
    in_blocks.norms(rows, 2, order, out)
    expected = np.linalg.norm(rows.astype(np.float64), axis=1)
    expected[1] = 3e38 if neurons == 1 else np.inf
    expected[2] = np.inf
    np.testing.assert_allclose(out[2 + order], expected, rtol=1e-6)
    assert (out[[0, 1, 6]] == -1).all()


def test_relative_distances_along_directions():
    along, targets = table(0, (3, 2), -2, 2), table(1, (CLASSES, 2))
    offsets, out = table(2, (CLASSES, 1)), np.full(5, -1, np.float32)
    along[1, 0] = np.nan
    in_blocks.relative_distance_along(along, labels(5), targets, offsets, 2, out)
    c = labels(5)[2:]
    expected = np.square(along - targets[c]).sum(axis=1) + offsets[c, 0]
    np.testing.assert_allclose(out[2:], np.where(np.isnan(expected), np.inf, expected), rtol=1e-6)
    assert (out[:2] == -1).all()
