"""Cells of samples: few enough, as fine as can be, and the same in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import cells

CLASSES, CAPACITY, NEURONS = 3, 6, 4


def gathered(values, labels, capacity=CAPACITY, step=1000):
    specified = cells.specify_cells(NEURONS, CLASSES, capacity)
    arrays = {name: np.full(shape, start, dtype) for name, (shape, dtype, start) in specified.items()}
    for start in range(0, len(values), step):
        cells.add_samples(arrays, values[start : start + step], labels[start : start + step])
    return arrays


def data(seed, n, spread=1.0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, NEURONS)) * spread).astype(np.float32), rng.integers(0, CLASSES - 1, n)


def test_while_there_is_room_each_sample_is_a_cell():
    values, _ = data(0, 5)
    arrays = gathered(np.concatenate([values, values[:2]]), np.array([0, 0, 0, 0, 1, 0, 0]))
    own = cells.cells_of(arrays, 0)
    assert own.level == cells.POINTS
    assert (
        {row.tobytes() for row in own.low} == {row.tobytes() for row in own.high} == {v.tobytes() for v in values[:4]}
    )
    assert sorted(own.times.tolist()) == [1, 1, 2, 2]
    np.testing.assert_array_equal(own.centres, own.low)
    assert len(cells.cells_of(arrays, 2).times) == 0


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(0, 60), st.sampled_from([1e-30, 1.0, 1e30, 0.0]),
    st.integers(2, 9),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_no_order_and_no_split_changes_them(seed, n, cut, spread, capacity):
    values, labels = data(seed, n, spread)
    whole = gathered(values, labels, capacity)
    order = np.random.default_rng(seed).permutation(n)
    a, b = (gathered(values[rows], labels[rows], capacity, step=7) for rows in (order[:cut], order[cut:]))
    cells.merge_cells(a, b)
    for name, array in whole.items():
        np.testing.assert_array_equal(a[name], array, err_msg=name)


@pytest.mark.parametrize("capacity", [2, 3, 8, 256])
def test_the_grid_is_the_finest_with_few_enough_cells(capacity):
    values, _ = data(1, 300)
    own = cells.cells_of(gathered(values, np.zeros(300, int), capacity), 0)
    sums = cells.places_of(values, own.places.shape[1])

    def grid(level):
        directions = sums.shape[1]
        return np.floor(sums / 2.0 ** np.floor((level + np.arange(directions)) / directions))

    assert len(np.unique(grid(own.level), axis=0)) == len(own.times) <= capacity
    assert len(np.unique(grid(own.level - 1), axis=0)) > capacity
    for place, low, high, times in zip(own.places, own.low, own.high, own.times, strict=True):
        within = values[(grid(own.level) == place).all(axis=1)]
        assert len(within) == times
        np.testing.assert_array_equal(low, within.min(axis=0))
        np.testing.assert_array_equal(high, within.max(axis=0))


def test_the_coarsest_grid_fits_whatever_the_samples():
    values = np.float32(3e38) * np.random.default_rng(0).choice(np.float32([-1, 1]), (500, NEURONS))
    values *= np.random.default_rng(1).choice(np.float32([1e-80, 1e-30, 1]), (500, 1))
    for capacity in (2, 4, 7):
        own = cells.cells_of(gathered(values, np.zeros(500, int), capacity), 0)
        assert 1 <= len(own.times) <= capacity
        assert own.times.sum() == 500


def test_minus_0_is_0():
    values = np.zeros((2, NEURONS), np.float32)
    values[1] = -0.0
    own = cells.cells_of(gathered(values, np.zeros(2, int)), 0)
    assert own.times.tolist() == [2]
    assert not np.signbit(own.low).any()
