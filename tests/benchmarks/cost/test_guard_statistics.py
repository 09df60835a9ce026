"""Figures of the guard's own time, beside numpy on the same nanoseconds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cost.guard_statistics import BESIDE, WITHIN, figures, of_bare, with_events


def tenth(shift: int, count: int = 1000) -> dict[str, np.ndarray]:
    """Bare frames of 1 to 1,000 µs, guarded ones 7 µs later; the test loop strays by `shift` µs."""
    bare = np.arange(1, count + 1) * 1000
    spin = np.full(count, 20_000)
    spin[-2:] += shift * 1000
    disturbed = np.zeros((2, count), bool)
    disturbed[0, -500:] = True
    return {
        "bare": bare, "again": bare[::-1].copy(), "guarded": bare + 7000 + shift, "spin": spin, "disturbed": disturbed,
        "wrote": np.arange(count) == 3, "within": bare * 2,
    }  # fmt: skip


def test_every_statistic_is_told_of_all_frames_of_each_tenth_and_of_the_quietest():
    tenths = [tenth(9), tenth(2), tenth(5)]
    told = figures(tenths, BESIDE)
    assert told["median"] == {
        "all": pytest.approx(7.005), "quietest tenth": pytest.approx(7.002),
        "tenths": pytest.approx([7.009, 7.002, 7.005]),
    }  # fmt: skip
    every = np.concatenate([each["again"] - each["bare"] for each in tenths])
    assert told["bare less bare: p99.9"]["all"] == pytest.approx(np.quantile(every, 0.999) / 1e3)
    assert figures(tenths, WITHIN)["median"]["quietest tenth"] == pytest.approx(1001)


def test_bare_calls_beside_the_thread_of_the_log_are_left_out():
    way = tenth(0)
    assert of_bare(way, "bare").max() == 500_000
    assert len(of_bare(way, "again")) == 1000
    expected = np.quantile(way["guarded"], 0.999) - np.quantile(way["bare"][:500], 0.999)
    assert BESIDE["p99.9 less p99.9"](way) == pytest.approx(expected)


def test_frames_with_an_event_and_those_right_behind_are_counted():
    assert with_events([tenth(1), tenth(3)]) == {"frames": 4, "median": pytest.approx(7.002)}
    quiet = tenth(1) | {"wrote": np.zeros(1000, bool)}
    assert with_events([quiet]) == {"frames": 0, "median": None}
