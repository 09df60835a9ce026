"""Sums over neurons against numpy, with a cost made up here."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage.kernels import loops
from outrider.coverage.kernels.compiling import inlined

from .made_up import CLASSES, NEURONS, anything, columns, labels, not_finite, or_infinite, quarters, table, values

WEIGHTS = table(0, (CLASSES, NEURONS)).round(1)


@inlined
def weighted(value, tables, c, j):
    return value * tables[0][c, j]


@inlined
def differs(code, tables, c, j):
    return np.uint8(code != tables[0][c, j])


@given(values(quarters))
@settings(deadline=None)
def test_total_is_the_sum_over_the_neurons(x):
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    loops.total(weighted, 0.0, x, c, (WEIGHTS,), out)
    np.testing.assert_allclose(out, (x * WEIGHTS[c]).sum(axis=1, dtype=np.float64), rtol=1e-5, atol=1e-5)


@given(values(quarters | not_finite, neurons=NEURONS + 3), st.permutations(range(3)))
@settings(deadline=None)
def test_columns_are_read_and_written_where_one_says(x, positions):
    starts, c = [3, 0, 6], labels(len(x))
    seen, out = np.array([[1, 1, 0]] * CLASSES, np.uint8), np.full((len(x), 4), -1, np.float32)
    where = columns(2, 1, 4, positions=positions, starts=starts)
    loops.total_of_columns(weighted, 0.0, x, c, (WEIGHTS,), where, seen, out)
    for k, (position, start, own) in enumerate(zip(positions, starts, ([0, 1], [2], [3, 4, 5, 6]), strict=True)):
        part = x[:, start : start + len(own)]
        bad = ~np.isfinite(part).all(axis=1) | (k == 2)
        with np.errstate(all="ignore"):
            found = (part * WEIGHTS[c][:, own]).sum(axis=1, dtype=np.float64)
        np.testing.assert_allclose(out[:, position], or_infinite(found, bad), rtol=1e-5, atol=1e-5)
    assert (out[:, 3] == -1).all()


@given(values(anything))
@settings(deadline=None)
def test_parts_are_infinite_for_what_is_no_number(x):
    out = np.empty(NEURONS, np.float32)
    loops.parts(weighted, x[0], 2, (WEIGHTS,), out)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, or_infinite(x[0] * WEIGHTS[2], ~np.isfinite(x[0])))


def test_codes_are_counted_past_one_byte_and_past_the_last_whole_block():
    for neurons in (1, 127, 128, 129, 1000):
        x, out = np.zeros((2, neurons), np.uint8), np.empty(2, np.float32)
        other = np.ones((1, neurons), np.uint8)
        x[1, -1] = 1
        loops.total_of_codes(differs, x, np.zeros(2, np.int64), (other,), out)
        assert out.tolist() == [neurons, neurons - 1]
