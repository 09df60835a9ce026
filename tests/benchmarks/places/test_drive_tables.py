from __future__ import annotations

import pytest
from scipy.stats import poisson

from benchmarks.places.drive_tables import time_between


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_interval_of_the_time_between_alarms_inverts_the_poisson_tails(count):
    expected, low, high = time_between(count, 50.0)
    assert expected == 50 / count
    assert poisson.cdf(count, 50 / low) == pytest.approx(0.025)
    assert poisson.sf(count - 1, 50 / high) == pytest.approx(0.025)


def test_without_an_alarm_only_the_lower_end_is_known():
    expected, low, high = time_between(0, 60.0, 0.9)
    assert expected == high == float("inf")
    assert poisson.cdf(0, 60 / low) == pytest.approx(0.05)
