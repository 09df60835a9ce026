"""The highest of a row against a stable sort."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage.kernels import ranks

from .made_up import CLASSES, NEURONS, labels, quarters, table, values


@given(values(quarters), st.integers(1, NEURONS))
@settings(deadline=None)
def test_ranks_are_those_of_a_stable_sort(x, top):
    counts, c = np.zeros((CLASSES, NEURONS), np.uint32), labels(len(x))
    ranks.rank_observe(x, c, counts, top)
    order = np.argsort(-x, axis=1, kind="stable")[:, :top]
    expected = np.zeros_like(counts)
    for k, row in zip(c, order, strict=True):
        expected[k, row] += 1
    np.testing.assert_array_equal(counts, expected)
    cost, weights, out = table(3, (CLASSES, NEURONS)), table(4, (top,)), np.empty(len(x), np.float32)
    ranks.rank_cost(x, c, cost, weights, np.zeros(top, np.int64), out)
    expected = [(weights * cost[k, row]).sum() for k, row in zip(c, order, strict=True)]
    np.testing.assert_allclose(out, expected, rtol=1e-5)
