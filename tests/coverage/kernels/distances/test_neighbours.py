"""The k-th nearest of a bank against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage.kernels.distances import neighbours

from ..made_up import table


def unit(rows):
    lengths = np.linalg.norm(rows.astype(np.float64), axis=-1, keepdims=True)
    return np.divide(rows, lengths, where=lengths > 0, out=np.zeros(rows.shape))


def scratch(neurons, directions, k):
    return np.empty(neurons, np.float32), np.empty(directions, np.float32), *nearest(k)


def nearest(k):
    return np.empty(k, np.float32), np.zeros(k, np.int64)


def axes(neurons, directions):
    """At right angles and of length 1."""
    whole = np.linalg.qr(table(9, (neurons, neurons), -1, 1))[0]
    return np.ascontiguousarray(whole[:, :directions], np.float32)


def expected(rows, bank, k):
    apart = np.sort(np.linalg.norm(rows[:, None] - bank.astype(np.float64), axis=2), axis=1)
    return apart[:, min(k, len(bank)) - 1]


@pytest.mark.parametrize(("neurons", "directions"), [(1, 1), (4, 4), (7, 7), (7, 5), (5, 1)])
@pytest.mark.parametrize("normalise", [0, 1])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_kth_nearest(neurons, directions, normalise, k):
    x, out = table(0, (9, neurons), -1, 1), np.empty(9, np.float32)
    x[6] = 0
    bank = table(1, (8, directions), -1, 1)
    bank[3] = bank[1]  # as near
    project = axes(neurons, directions) if directions < neurons else np.empty((0, neurons), np.float32)
    neighbours.kth_nearest(x, project, bank, normalise, *scratch(neurons, directions, k), out)
    rows = unit(x) if normalise else x.astype(np.float64)
    along = rows @ project if len(project) else rows
    np.testing.assert_allclose(out, expected(along, bank, k), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 15, 16, 40])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_scores_tell_which_is_nearest_and_the_distance_is_exact(k, samples):
    rows, bank, out = table(0, (6, 5), -1, 1), table(1, (samples, 4), -1, 1), np.full(9, -1, np.float32)
    rows[3, :4] = bank[0]  # the last column is none of theirs
    scores = np.square(bank).sum(axis=1) - 2 * rows[:, :4] @ bank.T
    neighbours.kth_nearest_by_scores(rows, scores, bank, *nearest(k), 2, out)
    np.testing.assert_allclose(out[2:8], expected(rows[:, :4], bank, k), rtol=1e-6)
    assert out[[0, 1, 8]].tolist() == [-1] * 3
    assert out[5] == 0 or k > 1


def test_scores_that_are_no_numbers_give_a_distance_all_the_same():
    rows, bank, out = np.full((1, 3), 3e38, np.float32), table(1, (20, 2)), np.empty(1, np.float32)
    bank[:] = 3e38
    neighbours.kth_nearest_by_scores(rows, np.full((1, 20), np.nan, np.float32), bank, *nearest(1), 0, out)
    assert out[0] == 0


@pytest.mark.parametrize("normalise", [0, 1])
def test_rows_of_a_block_with_length_1(normalise):
    x, rows = table(0, (7, 3), -1, 1), np.full((3, 4), -1, np.float32)
    x[4] = 0
    neighbours.prepared(x, 3, normalise, rows)
    np.testing.assert_allclose(rows[:, :3], (unit(x) if normalise else x)[3:6], rtol=1e-6)
    assert (rows[:, 3] == -1).all()


@pytest.mark.parametrize("directions", [4, 3])
@pytest.mark.parametrize("normalise", [0, 1])
def test_parts_are_the_squares_of_what_is_between(normalise, directions):
    x, bank, out = table(0, (4,), -1, 1), table(1, (6, directions), -1, 1), np.empty(4, np.float32)
    project = axes(4, 3) if directions < 4 else np.empty((0, 4), np.float32)
    whole = project if len(project) else np.eye(4)
    given = project, bank, normalise, *scratch(4, directions, 2)

    def between(row):
        along = (unit(row[None]) if normalise else row[None].astype(np.float64)) @ whole
        return whole @ (along[0] - bank[np.argsort(np.linalg.norm(along - bank, axis=1))[1]])

    neighbours.neighbour_parts(x, *given, out)
    np.testing.assert_allclose(out, np.square(between(x)), rtol=1e-3, atol=1e-6)
    without = x * np.float32([1, 0, 1, 1])
    x[1] = np.inf
    neighbours.neighbour_parts(x, *given, out)
    assert out[1] == np.inf
    np.testing.assert_allclose(np.delete(out, 1), np.delete(np.square(between(without)), 1), rtol=1e-3, atol=1e-6)
