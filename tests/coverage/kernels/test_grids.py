"""Dyadic grids by their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outrider.coverage.kernels import grids


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 300))
@example(0.0, 4.0, 4)  # one section too many, were the border not counted
def test_dyadic_grid_spans_the_range_and_no_finer_one_does(low, width, sections):
    low, high = float(np.float32(low)), float(np.float32(low + width))
    scale, base = grids.dyadic_grid(low, high, sections)
    assert math.frexp(scale)[0] == 0.5
    assert base == math.floor(low * scale)
    assert math.floor(high * scale) - base < sections
    finest = max(-125, math.frexp(max(abs(low), abs(high)))[1] - 23 if low or high else -125)
    if -math.log2(scale) > finest:
        assert math.floor(high * scale * 2) - math.floor(low * scale * 2) >= sections


@pytest.mark.parametrize(
    ("value", "found"), [(0.75, 0), (1.0, 0), (1.49, 0), (1.5, 1), (1.99, 1), (2.0, 2), (2.5, 3), (3.0, 3), (np.inf, 3)]
)
def test_a_border_belongs_to_the_section_above_and_the_outermost_take_what_is_beyond(value, found):
    assert grids.section(value, 2.0, 2.0, 4) == found  # sections of 0.5 from 1 on


def test_a_section_moves_into_the_coarser_one_that_holds_it():
    assert [grids.moved(index, 0.5, -2, 4) for index in (-9, -4, -3, -2, -1, 0, 1, 2, 3, 9)] == [
        0, 0, 0, 1, 1, 2, 2, 3, 3, 3
    ]  # fmt: skip


def test_widening_tells_the_first_value_from_the_others():
    low, high = np.full((1, 2), np.inf, np.float32), np.full((1, 2), -np.inf, np.float32)
    assert grids.widen(low, high, (0, 1), np.float32(3), np.float32(3), 4)[0]
    empty, grid = grids.widen(low, high, (0, 1), np.float32(-1), np.float32(5), 4)
    assert not empty
    assert (low[0, 1], high[0, 1]) == (-1, 5)
    assert grid == grids.dyadic_grid(-1.0, 5.0, 4)
    assert low[0, 0] > high[0, 0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 8))
@settings(deadline=None)
def test_sums_are_those_of_fixed_signs_and_know_no_batch(seed, neurons, directions):
    x = np.random.default_rng(seed).normal(size=(6, neurons)).astype(np.float32)
    signs, places = np.empty((neurons, directions)), np.empty((6, directions))
    grids.project(np.eye(neurons, dtype=np.float32), signs)
    assert set(np.unique(signs)) <= {-1, 1}
    grids.project(x, places)
    np.testing.assert_allclose(places, x.astype(np.float64) @ signs, atol=1e-9)
    for row, place in zip(x, places, strict=True):
        alone = np.empty((1, directions))
        grids.project(row[None], alone)
        np.testing.assert_array_equal(alone[0], place)


def test_signs_are_balanced_and_no_sum_is_minus_0():
    signs, places = np.empty((4000, 8)), np.empty((1, 8))
    grids.project(np.eye(4000, dtype=np.float32), signs)
    assert np.abs(signs.mean(axis=0)).max() < 0.06
    assert np.abs(np.corrcoef(signs.T) - np.eye(8)).max() < 0.06
    grids.project(np.full((1, 4000), -0.0, np.float32), places)
    assert not np.signbit(places).any()
