"""How many rounds are made, and who stands where in them; a fake clock tells the time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from outrider.runtime.bench.rounds import rounds_in, timed

from .clocks import Clock


@pytest.mark.parametrize(
    ("calls", "seconds", "rounds"),
    [
        ({"a": 1.0, "b": 3.0}, 800.0, 200),  # two rounds of 4 s a turn
        ({"a": 1.0, "b": 3.0}, 807.9, 200),
        ({"a": 1.0, "b": 3.0}, 808.0, 202),
        ({"a": 1.0, "b": 3.0}, 1.0, 20),
        ({"a": 1.0, "b": 3.0, "c": 4.0}, 1.0, 21),
    ],
)
def test_whole_turns_fill_the_seconds_and_there_are_20_rounds_at_least(monkeypatch, calls, seconds, rounds):
    clock = Clock(monkeypatch)
    assert rounds_in({name: clock.call(name, cost) for name, cost in calls.items()}, seconds) == rounds


def test_a_clock_that_sees_no_time_pass_gives_the_fewest(monkeypatch):
    clock = Clock(monkeypatch)
    assert rounds_in({name: clock.call(name, 0.0) for name in "ab"}, 60) == 20


def test_times_are_those_of_their_call_and_progress_follows_the_turns(monkeypatch):
    clock, costs, done = Clock(monkeypatch), {"a": 1.0, "b": 3.0, "c": 4.0}, []
    clock.log += costs  # all were called before
    times = timed({name: clock.call(name, cost) for name, cost in costs.items()}, 30, done.append)
    assert list(times) == ["a", "b", "c"]
    for name, cost in costs.items():
        np.testing.assert_array_equal(times[name], np.full(30, cost))
    assert done == [*range(3, 31, 3)]


def test_in_each_turn_every_call_stands_once_at_each_place_and_turns_differ_in_their_order(monkeypatch):
    clock = Clock(monkeypatch)
    timed({name: clock.call(name, 1.0) for name in "abcd"}, 80)
    turns = [clock.log[i : i + 16] for i in range(0, len(clock.log), 16)]
    assert len(turns) == 20
    for turn in turns:
        for place in range(4):
            assert Counter(turn[place::4]) == dict.fromkeys("abcd", 1)
    before = Counter(pair for turn in turns for pair in pairwise(turn) if pair[0] != pair[1])
    assert len(before) == 12  # each call stands behind each other one


def test_rounds_that_fill_no_turn_are_made(monkeypatch):
    clock, done = Clock(monkeypatch), []
    times = timed({name: clock.call(name, 1.0) for name in "abc"}, 7, done.append)
    assert {len(values) for values in times.values()} == {7}
    assert done == [3, 6, 7]


def test_progress_of_many_turns_is_told_a_hundred_times(monkeypatch):
    clock, done = Clock(monkeypatch), []
    timed({name: clock.call(name, 1.0) for name in "ab"}, 2 * 305, done.append)
    assert done == [*range(6, 607, 6), 610]
