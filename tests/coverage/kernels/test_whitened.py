"""Whitened distances against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage.kernels import whitened

from .made_up import CLASSES, columns, labels, table


@pytest.mark.parametrize("neurons", [1, 3, 4, 5, 17])
def test_whitened_distance(neurons):
    x, mean = table(0, (5, neurons), -3, 3), table(1, (CLASSES, neurons))
    whitening, out = np.tril(table(2, (neurons, neurons), -1, 1)), np.empty(5, np.float32)
    whitened.whitened_distance(x, labels(5), mean, whitening.ravel(), out)
    expected = np.linalg.norm((x - mean[labels(5)]).astype(np.float64) @ whitening.T.astype(np.float64), axis=1)
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(1,), (5, 4), (3, 17, 8)])
def test_whitened_distances_of_many_columns(sizes):
    x, mean = table(0, (5, sum(sizes)), -3, 3), table(1, (CLASSES, sum(sizes)))
    matrices = [np.tril(table(2 + n, (n, n), -1, 1)) for n in sizes]
    ends, seen = np.cumsum(sizes), np.ones((CLASSES, len(sizes)), np.uint8)
    seen[1, 0] = 0
    x[2, 0] = np.nan
    out, c = np.empty((5, len(sizes)), np.float32), labels(5)
    rows = np.concatenate([m.ravel() for m in matrices])
    whitened.whitened_distance_of_columns(x, c, mean, rows, columns(*sizes), seen, out)
    for column, (matrix, part) in enumerate(zip(matrices, np.split(x - mean[c], ends[:-1], axis=1), strict=True)):
        expected = np.linalg.norm(part.astype(np.float64) @ matrix.T.astype(np.float64), axis=1)
        expected[np.isnan(expected) | (seen[c, column] == 0)] = np.inf
        np.testing.assert_allclose(out[:, column], expected, rtol=1e-5)


@pytest.mark.parametrize("broken", [None, 2])
def test_parts_add_up_to_the_square_of_the_distance(broken):
    x, mean, out = table(0, (5,), -3, 3), table(1, (CLASSES, 5)), np.empty(5, np.float32)
    whitening = np.tril(table(2, (5, 5), -1, 1))
    step = (x - mean[1]).astype(np.float64)
    if broken is not None:
        x[broken], step[broken] = np.nan, 0  # counts as the mean for the other neurons
    whitened.whitened_parts(x, 1, mean, whitening.ravel(), out)
    expected = step * (whitening.T.astype(np.float64) @ (whitening @ step))
    expected[np.isnan(x)] = np.inf
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
