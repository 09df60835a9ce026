"""The k-th nearest of a bank against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage.kernels.distances import neighbours

from ..made_up import CLASSES, labels, table

HELD = np.array([5, 1, 0])  # of the three classes


def scratch(k):
    return np.empty(k, np.float32), np.zeros(k, np.int64)


def unit(rows):
    lengths = np.linalg.norm(rows.astype(np.float64), axis=-1, keepdims=True)
    return np.divide(rows, lengths, where=lengths > 0, out=np.zeros(rows.shape))


def expected(x, c, bank, k, normalise=0, held=HELD):
    rows, found = unit(x) if normalise else x.astype(np.float64), []
    for row, label in zip(rows, c, strict=True):
        apart = np.sort(np.linalg.norm(row - bank[label, : held[label]], axis=1))
        found.append(apart[min(k, len(apart)) - 1] if len(apart) else np.inf)
    return np.array(found)


@pytest.mark.parametrize("neurons", [1, 4, 7])
@pytest.mark.parametrize("normalise", [0, 1])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_kth_nearest(neurons, normalise, k):
    x, bank, out = table(0, (9, neurons), -1, 1), table(1, (CLASSES, 5, neurons), -1, 1), np.empty(9, np.float32)
    bank[0, 3] = bank[0, 1]  # as near
    x[6] = 0
    neighbours.kth_nearest(x, labels(9), bank, HELD, normalise, np.empty(neurons, np.float32), *scratch(k), out)
    np.testing.assert_allclose(out, expected(x, labels(9), bank, k, normalise), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 15, 16, 40])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_scores_tell_which_is_nearest_and_the_distance_is_exact(k, samples):
    rows, bank, out = table(0, (6, 5), -1, 1), table(1, (samples, 4), -1, 1), np.full(9, -1, np.float32)
    rows[3, :4] = bank[0]  # the last column is none of theirs
    scores = np.full((6, samples + 2), -9, np.float32)  # and neither are the last two samples
    scores[:, :samples] = np.square(bank).sum(axis=1) - 2 * rows[:, :4] @ bank.T
    order = np.array([1, 0, 2, 3, 5, 4])
    neighbours.kth_nearest_by_scores(rows, scores, 1, 5, bank, *scratch(k), order, 2, out)
    wanted = expected(rows[:, :4], np.zeros(6, int), bank[None], k, held=[samples])
    np.testing.assert_allclose(out[2 + order[1:5]], wanted[1:5], rtol=1e-6)
    assert (np.delete(out, 2 + order[1:5]) == -1).all()
    assert out[5] == 0 or k > 1


def test_scores_that_are_no_numbers_give_a_distance_all_the_same():
    rows, bank, out = np.full((1, 3), 3e38, np.float32), np.full((20, 2), 3e38, np.float32), np.empty(1, np.float32)
    nothing = np.full((1, 20), np.nan, np.float32)
    neighbours.kth_nearest_by_scores(rows, nothing, 0, 1, bank, *scratch(1), np.zeros(1, int), 0, out)
    assert out[0] == 0


@pytest.mark.parametrize("normalise", [0, 1])
def test_rows_come_in_an_order_and_with_length_1(normalise):
    x, rows = table(0, (7, 3), -1, 1), np.full((3, 4), -1, np.float32)
    x[4] = 0
    neighbours.prepared(x, 3, np.array([2, 0, 1]), normalise, rows)
    np.testing.assert_allclose(rows[:, :3], (unit(x) if normalise else x)[[5, 3, 4]], rtol=1e-6)
    assert (rows[:, 3] == -1).all()


@pytest.mark.parametrize("normalise", [0, 1])
def test_parts_are_squared_differences(normalise):
    x, bank, out = table(0, (4,), -1, 1), table(1, (CLASSES, 5, 4), -1, 1), np.empty(4, np.float32)
    given = bank, HELD, normalise, np.empty(4, np.float32), *scratch(2)
    neighbours.neighbour_parts(x, 0, *given, out)
    np.testing.assert_allclose(out.sum(), expected(x[None], [0], bank, 2, normalise)[0] ** 2, rtol=1e-5)
    without = x * np.float32([1, 0, 1, 1])
    x[1] = np.inf
    neighbours.neighbour_parts(x, 0, *given, out)
    assert out[1] == np.inf
    row = (unit(without[None]) if normalise else without[None])[0]
    near = bank[0][np.argsort(np.linalg.norm(row - bank[0], axis=1))[1]]
    np.testing.assert_allclose(np.delete(out, 1), np.delete(np.square(row - near), 1), rtol=1e-4, atol=1e-7)
