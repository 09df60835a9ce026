"""Costs of sections against numpy, with values that lie on a border."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage.kernels import sections

from .made_up import CLASSES, NEURONS, anything, columns, labels, or_infinite, table, tables, values


def test_a_border_belongs_to_the_section_below_it():
    low, high = np.float32([[1]]), np.float32([[3]])
    per_unit, cost = np.float32([[2]]), np.float32([[[10, 20, 30, 40, 99]]])  # four sections of 0.5
    x = np.float32([1, 1.25, 1.5, 1.5625, 2, 3, 0.9375, 3.0625, np.nan])[:, None]
    out, c = np.empty(9, np.float32), np.zeros(9, np.int64)
    sections.sections_cost(x, c, low, high, per_unit, cost, out)
    assert out.tolist() == [10, 10, 10, 20, 20, 40, 99, 99, 99]
    codes, out = np.uint8([1, 2, 3, 0, 4])[:, None], out[:5]
    sections.sections_cost(codes, c[:5], low, high, per_unit, cost, out)
    assert out.tolist() == [10, 20, 40, 99, 99]


@given(values(anything), tables(), tables(), st.integers(1, 5))
@settings(deadline=None)
def test_the_costs_of_sections_add_up(x, low, width, count):
    high, cost, c = low + abs(width), table(1, (CLASSES, NEURONS, count + 1)), labels(len(x))
    per_unit = np.divide(count, high - low, out=np.zeros_like(low), where=high > low)
    with np.errstate(all="ignore"):
        q = np.ceil((x - low[c]) * per_unit[c]) - 1
        q = np.where((low[c] <= x) & (x <= high[c]), np.clip(q, 0, count - 1), count).astype(int)
    expected = np.take_along_axis(cost[c], q[:, :, None], axis=2)[:, :, 0]
    out, args = np.empty(len(x), np.float32), (low, high, per_unit, cost)
    sections.sections_cost(x, c, *args, out)
    np.testing.assert_allclose(out, expected.sum(axis=1), rtol=1e-5)
    seen, wide = np.array([[1, 1], [1, 0], [0, 1]], np.uint8), np.empty((len(x), 2), np.float32)
    sections.sections_cost_of_columns(x, c, *args, columns(3, 4), seen, wide)
    for k, own in enumerate((slice(0, 3), slice(3, 7))):
        bad = ~np.isfinite(x[:, own]).all(axis=1) | (seen[c, k] == 0)
        np.testing.assert_allclose(wide[:, k], or_infinite(expected[:, own].sum(axis=1), bad), rtol=1e-5)
    parts = np.empty(NEURONS, np.float32)
    sections.sections_parts(x[0], c[0], *args, parts)
    np.testing.assert_array_equal(parts, or_infinite(expected[0], ~np.isfinite(x[0])))
