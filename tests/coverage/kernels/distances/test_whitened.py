"""Whitened distances against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage.kernels.distances import whitened

from ..made_up import CLASSES, columns, labels, table


@pytest.mark.parametrize("neurons", [1, 3, 4, 5, 17])
def test_whitened_distance(neurons):
    x, mean = table(0, (5, neurons), -3, 3), table(1, (CLASSES, neurons))
    whitening, out = np.tril(table(2, (neurons, neurons), -1, 1)), np.empty(5, np.float32)
    whitened.whitened_distance(x, labels(5), mean, whitening.T.ravel(), np.empty(4 * neurons, np.float32), out)
    expected = np.linalg.norm((x - mean[labels(5)]).astype(np.float64) @ whitening.T.astype(np.float64), axis=1)
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_whitened_distance_with_a_matrix_for_each_class():
    x, mean, out = table(0, (7, 6), -3, 3), table(1, (CLASSES, 6)), np.empty(7, np.float32)
    matrices = np.stack([np.tril(table(2 + c, (6, 6), -1, 1)) for c in range(CLASSES)])
    flat = np.ascontiguousarray(matrices.transpose(0, 2, 1)).reshape(CLASSES, -1)
    x[6] = 3e38  # products overflow
    whitened.whitened_distance_by_class(x, labels(7), mean, flat, np.empty(24, np.float32), out)
    step = (x - mean[labels(7)]).astype(np.float64)
    expected = np.linalg.norm(np.einsum("nij,nj->ni", matrices[labels(7)].astype(np.float64), step), axis=1)
    np.testing.assert_allclose(out[:6], expected[:6], rtol=1e-5)
    assert out[6] == np.inf


@pytest.mark.parametrize("sizes", [(1,), (5, 4), (3, 17, 8)])
def test_whitened_distances_of_many_columns(sizes):
    x, mean = table(0, (5, sum(sizes)), -3, 3), table(1, (CLASSES, sum(sizes)))
    matrices = [np.tril(table(2 + n, (n, n), -1, 1)) for n in sizes]
    ends, seen = np.cumsum(sizes), np.ones((CLASSES, len(sizes)), np.uint8)
    seen[1, 0] = 0
    x[2, 0] = np.nan
    out, c = np.empty((5, len(sizes)), np.float32), labels(5)
    flat, lengths = np.concatenate([m.T.ravel() for m in matrices]), np.empty(4 * max(sizes), np.float32)
    whitened.whitened_distance_of_columns(x, c, mean, flat, lengths, columns(*sizes), seen, out)
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
    whitened.whitened_parts(x, 1, mean, whitening.T.ravel(), out)
    expected = step * (whitening.T.astype(np.float64) @ (whitening @ step))
    expected[np.isnan(x)] = np.inf
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def relative(sizes, seed=0):
    """Tables of `relative_distance` for each column, and what they say of values (n, sum of sizes)."""
    made = []
    for k, n in enumerate(sizes):
        rank = min(CLASSES - 1, n)
        made.append((
            table(seed + k, (n,)), table(seed + k + 10, (rank, n), -1, 1), table(seed + k + 20, (CLASSES, rank)),
            table(seed + k + 30, (CLASSES, 1), 0, 3),
        ))  # fmt: skip

    def expected(x, c):
        parts = np.split(x.astype(np.float64), np.cumsum(sizes)[:-1], axis=1)
        each = [
            np.square((part - centre) @ directions.T.astype(np.float64) - targets[c]).sum(axis=1) + offsets[c, 0]
            for part, (centre, directions, targets, offsets) in zip(parts, made, strict=True)
        ]
        return np.stack(each, axis=1)

    return made, expected


@pytest.mark.parametrize("sizes", [(1,), (7,), (5, 1, 4), (3, 17, 8)])
def test_relative_distances_alone_and_of_many_columns(sizes):
    made, expected = relative(sizes)
    x, c = table(40, (6, sum(sizes)), -3, 3), labels(6)
    for k, (part, (centre, directions, targets, offsets)) in enumerate(
        zip(np.split(x, np.cumsum(sizes)[:-1], axis=1), made, strict=True)
    ):
        alone = np.empty(6, np.float32)
        rows = np.ascontiguousarray(part)
        tables = centre, directions.T.ravel(), targets, offsets, np.empty(len(directions), np.float32)
        whitened.relative_distance(rows, c, *tables, alone)
        np.testing.assert_allclose(alone, expected(x, c)[:, k], rtol=1e-5)
    centres, directions, targets, offsets = zip(*made, strict=True)
    tables = (
        np.concatenate(centres), np.concatenate([d.T.ravel() for d in directions]), np.concatenate(targets, axis=1),
        np.concatenate(offsets, axis=1), np.empty(CLASSES, np.float32),
    )  # fmt: skip
    seen, out = np.ones((CLASSES, len(sizes)), np.uint8), np.empty((6, len(sizes)), np.float32)
    seen[1, -1] = 0
    x[2, 0] = np.nan
    wanted = expected(x, c)
    wanted[np.isnan(wanted)] = np.inf
    wanted[c == 1, -1] = np.inf
    whitened.relative_distance_of_columns(x, c, *tables, columns(*sizes), seen, out)
    np.testing.assert_allclose(out, wanted, rtol=1e-5)


def test_a_relative_distance_that_is_no_number_is_infinite():
    tables = np.zeros(2, np.float32), np.float32([2, -2]), np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32)
    tables = *tables, np.empty(1, np.float32)
    out = np.empty(1, np.float32)
    whitened.relative_distance(np.float32([[3e38, 3e38]]), np.zeros(1, int), *tables, out)
    assert out == np.inf


@pytest.mark.parametrize("broken", [None, 2])
def test_relative_parts_add_up_to_what_the_distance_has_above_that_of_the_centre(broken):
    made, expected = relative((5,))
    ((centre, directions, targets, offsets),) = made
    x, out = table(40, (1, 5), -3, 3), np.empty(5, np.float32)
    wanted = x[0].copy()
    if broken is not None:
        x[0, broken], wanted[broken] = np.nan, centre[broken]  # counts as the centre for the other neurons
    whitened.relative_parts(x[0], 1, centre, directions.T.ravel(), targets, offsets, out)
    above = expected(wanted[None], 1) - expected(centre[None], 1)
    np.testing.assert_allclose(out[np.isfinite(out)].sum(), above[0, 0], rtol=1e-4)
    assert np.flatnonzero(np.isinf(out)).tolist() == ([] if broken is None else [broken])
