from __future__ import annotations

import numpy as np

from benchmarks.timing import paired, ratio


def test_candidates_take_turns_at_being_first():
    calls = []
    times = paired({name: lambda name=name: calls.append(name) for name in "abc"}, rounds=4, warm_up=1)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert {name: values.shape for name, values in times.items()} == {"a": (4,), "b": (4,), "c": (4,)}
    assert all((values > 0).all() for values in times.values())


def test_a_ratio_is_the_median_of_the_pairs_and_not_the_ratio_of_medians():
    times = {"bare": np.array([1.0, 10.0, 2.0]), "guarded": np.array([3.0, 10.0, 4.0])}
    assert ratio(times, "guarded", "bare") == 2.0
