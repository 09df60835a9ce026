from __future__ import annotations

import math

import pytest

from benchmarks.studies.seeds import HELD, NOT, PARTLY, over_seeds, verdict


def test_mean_and_interval_are_those_of_the_t_distribution():
    """For three seeds: 4.3027 standard errors."""
    mean, low, high = over_seeds([1.0, 2.0, 3.0])
    assert mean == 2
    assert (low, high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-4)
    assert over_seeds([5.0]) == (5.0, None, None)
    assert math.isnan(over_seeds([1.0, math.nan])[0])


@pytest.mark.parametrize(
    ("values", "bound", "wanted"),
    [
        ([1.0, 1.0, 1.0], 0.99, HELD),
        ([1.0, 1.0, 1.0], 1.0, NOT),
        ([1.0, 2.0, 3.0], 0.0, PARTLY),
        ([1.0, 2.0, 3.0], 2.0, NOT),
        ([3.0, 3.0, -0.1], 0.0, NOT),
        ([9.0], 0.0, PARTLY),
        ([], 0.0, NOT),
        ([1.0, math.nan, 1.0], 0.0, NOT),
    ],
)
def test_numbers_hold_above_a_bound_with_their_interval(values, bound, wanted):
    assert verdict(values, bound) == wanted
