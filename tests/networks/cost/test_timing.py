from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from outrider.networks.cost.timing import paired, ratio, ratio_interval


def test_candidates_take_turns_at_being_first():
    calls = []
    times = paired({name: lambda name=name: calls.append(name) for name in "abc"}, rounds=4, warm_up=1)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert {name: values.shape for name, values in times.items()} == {"a": (4,), "b": (4,), "c": (4,)}
    assert all((values > 0).all() for values in times.values())


def test_a_ratio_is_the_median_of_the_pairs_and_not_the_ratio_of_medians():
    times = {"bare": np.array([1.0, 10.0, 2.0]), "guarded": np.array([3.0, 10.0, 4.0])}
    assert ratio(times, "guarded", "bare") == 2.0


@pytest.mark.parametrize("n", [40, 101, 200])
def test_the_interval_of_the_median_has_its_ranks_from_the_binomial(n):
    times = {"a": np.random.default_rng(n).permutation(np.arange(1.0, n + 1)), "b": np.ones(n)}
    low, high = ratio_interval(times, "a", "b")
    inside = binom.cdf(high - 1, n, 0.5) - binom.cdf(low - 1, n, 0.5)  # P(rank low <= the median < rank high)
    assert 0.95 <= inside < 0.98


def test_the_interval_of_few_rounds_is_all_of_them():
    times = {"a": np.array([3.0, 1.0, 2.0]), "b": np.ones(3)}
    assert ratio_interval(times, "a", "b") == (1.0, 3.0)
