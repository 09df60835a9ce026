"""Batches and outputs as arrays, and whether they are finite."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.data.arrays import all_finite, as_array, finite_rows

LARGEST = np.finfo(np.float32).max


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("turned", [False, True])
def test_a_value_that_is_not_finite_is_found_in_its_row(dtype, odd, turned):
    array = np.zeros((3, 2, 4), dtype)
    array = array.transpose(0, 2, 1) if turned else array
    assert all_finite(array)
    assert finite_rows(array, 3).tolist() == [True, True, True]
    array[1, -1, -1] = odd
    assert not all_finite(array)
    assert finite_rows(array, 3).tolist() == [True, False, True]


def test_the_largest_numbers_and_integers_are_finite():
    assert all_finite(np.array([LARGEST, -LARGEST], np.float32))
    assert all_finite(np.full((2, 2), 255, np.uint8))
    assert finite_rows(np.full((2, 2), 255, np.uint8), 2).all()


def test_rows_of_places_count_for_their_frame():
    values = np.zeros((6, 2), np.float32)
    values[3] = np.nan
    assert finite_rows(values, 2).tolist() == [True, False]
    assert finite_rows(values, 3).tolist() == [True, False, True]


def test_a_tensor_becomes_an_array():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, requires_grad=True)
    np.testing.assert_array_equal(as_array(tensor), [1, 1])
    assert as_array([1, 2]).tolist() == [1, 2]
