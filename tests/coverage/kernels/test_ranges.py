"""Intervals against numpy, with values that lie on a bound."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.coverage.kernels import ranges

from .made_up import CLASSES, NEURONS, anything, columns, labels, or_infinite, table, tables, values

few_codes = st.integers(0, 5)


def outside(x, low, high):
    return ~((low <= x) & (x <= high))


def test_a_value_on_a_bound_is_inside_and_the_next_one_is_not():
    low, high = np.array([[-1, 2]], np.float32), np.array([[0.5, 2]], np.float32)
    below, above = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    x = np.concatenate([low, high, below, above, np.full_like(low, np.nan)])
    c, out = np.zeros(5, np.int64), np.empty(5, np.float32)
    ranges.range_outside(x, c, low, high, out)
    assert out.tolist() == [0, 0, 2, 2, 2]
    alone = np.empty((5, 2), np.float32)
    ranges.range_outside_of_columns(x, c, low, high, columns(1, 1), np.ones((1, 2), np.uint8), alone)
    np.testing.assert_array_equal(alone, [[0, 0], [0, 0], [1, 1], [1, 1], [np.inf, np.inf]])
    for row, expected in zip(x, alone, strict=True):
        parts = np.empty(2, np.float32)
        ranges.range_parts(row, 0, low, high, parts)
        np.testing.assert_array_equal(parts, expected)
    codes, bounds, out = np.array([[2], [3], [5], [6]], np.uint8), np.array([[3], [5]], np.uint8), out[:4]
    ranges.range_outside_codes(codes, c[:4], bounds[:1], bounds[1:], out)
    assert out.tolist() == [1, 0, 0, 1]


@given(values(anything), tables(), tables())
@settings(deadline=None)
def test_neurons_outside_are_counted(x, low, high):
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    expected = outside(x, low[c], high[c])
    ranges.range_outside(x, c, low, high, out)
    np.testing.assert_array_equal(out, expected.sum(axis=1))
    seen, wide = np.array([[1, 1], [1, 0], [0, 1]], np.uint8), np.empty((len(x), 2), np.float32)
    ranges.range_outside_of_columns(x, c, low, high, columns(3, 4), seen, wide)
    for k, own in enumerate((slice(0, 3), slice(3, 7))):
        bad = ~np.isfinite(x[:, own]).all(axis=1) | (seen[c, k] == 0)
        np.testing.assert_array_equal(wide[:, k], or_infinite(expected[:, own].sum(axis=1), bad))
    parts = np.empty(NEURONS, np.float32)
    ranges.range_parts(x[0], c[0], low, high, parts)
    np.testing.assert_array_equal(parts, or_infinite(expected[0], ~np.isfinite(x[0])))


@given(values(anything), tables(), tables())
@settings(deadline=None)
def test_magnitudes_are_distances_times_the_inverse_width(x, low, high):
    inverse, c, out = table(2, (CLASSES, NEURONS)), labels(len(x)), np.empty(len(x), np.float32)
    ranges.range_magnitude(x, c, low, high, inverse, out)
    with np.errstate(all="ignore"):
        beyond = np.maximum(np.maximum(low[c] - x, x - high[c]), 0).astype(np.float64) * inverse[c]
        expected = beyond.sum(axis=1).astype(np.float32)
    rows = np.isfinite(x).all(axis=1)
    np.testing.assert_allclose(out[rows], expected[rows], rtol=1e-4)


@given(arrays(np.uint8, (3, 2 * 128 + NEURONS), elements=few_codes), st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_codes_outside_their_bounds(x, seed):
    low, high = np.random.default_rng(seed).integers(0, 5, (2, CLASSES, x.shape[1]), np.uint8, endpoint=True)
    c, out = labels(len(x)), np.empty(len(x), np.float32)
    ranges.range_outside_codes(x, c, low, high, out)
    np.testing.assert_array_equal(out, outside(x, low[c], high[c]).sum(axis=1))


@given(values())
@settings(deadline=None)
def test_observing_widens_the_bounds_of_the_class(x):
    low, high = np.full((CLASSES, NEURONS), 3, np.float32), np.full((CLASSES, NEURONS), 4, np.float32)
    c = labels(len(x))
    ranges.range_observe(x, c, low, high)
    for k in range(CLASSES):
        np.testing.assert_array_equal(low[k], x[c == k].min(axis=0, initial=3))
        np.testing.assert_array_equal(high[k], x[c == k].max(axis=0, initial=4))


boxes = tables(shape=(CLASSES, 3, NEURONS))


@given(values(anything), boxes, boxes)
@settings(deadline=None)
def test_the_nearest_box_counts(x, one, other):
    low, high = np.minimum(one, other), np.maximum(one, other)
    inverse, c = table(2, (CLASSES, NEURONS), 0.5, 2), labels(len(x))
    out, parts = np.empty(len(x), np.float32), np.empty(NEURONS, np.float32)
    ranges.box_distance(x, c, low, high, inverse, out)
    finite = np.isfinite(x).all(axis=1) & (np.abs(x) < 1e30).all(axis=1)
    some = x[finite][:, None].astype(np.float64)
    beyond = np.maximum(np.maximum(low[c[finite]] - some, some - high[c[finite]]), 0) * inverse[c[finite]][:, None]
    np.testing.assert_allclose(out[finite], beyond.sum(axis=2).min(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(out[finite] == 0, (beyond.sum(axis=2) == 0).any(axis=1))
    for row, label, distance in zip(x, c, out, strict=True):
        ranges.box_parts(row, label, low, high, inverse, parts)
        np.testing.assert_array_equal(np.isinf(parts) >= ~np.isfinite(row), True)
        if np.isfinite(row).all() and np.isfinite(distance):
            np.testing.assert_allclose(parts.sum(), distance, rtol=1e-5)


def test_a_value_on_the_face_of_a_box_is_inside():
    low, high = np.float32([[[0, 0], [5, 5]]]), np.float32([[[1, 2], [6, 5]]])
    x = np.float32([[0, 2], [1, 0], [6, 5], [5, 5], [6, 5.5], [np.nextafter(np.float32(1), np.float32(2)), 0]])
    out, inverse = np.empty(6, np.float32), np.float32([[1, 2]])
    ranges.box_distance(x, np.zeros(6, int), low, high, inverse, out)
    assert out.tolist() == [0, 0, 0, 0, 1, np.float32(2.0**-23)]
