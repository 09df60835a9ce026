"""The greedy choice against all subsets, on made-up deviations and made-up numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.networks import Tap
from outrider.runtime.budget.choosing import chosen_within, without_least
from outrider.runtime.budget.gains import Detection, FaultDeviations


def tap(name, neurons="channel"):
    return Tap(name, "relu", (4, 8, 8), "NCHW", "float32", neurons)


TAPS = [tap(name) for name in "abcde"]


@pytest.fixture
def detection():
    """Each of the first four taps sees one fault, the later ones less of it; the last sees none."""
    rng = np.random.default_rng(0)
    clean = rng.exponential(size=(200, len(TAPS)))
    faults = {}
    for i in range(4):
        faults[f"fault of {TAPS[i].name}"] = rng.exponential(size=(80, len(TAPS)))
        faults[f"fault of {TAPS[i].name}"][:, i] += 8 - 1.5 * i
    criterion = SingleRange()
    return Detection(
        [], {"classes": None, "map_classes": None, "scores": "logits"}, {one.id: [criterion] for one in TAPS},
        [(criterion, one.id) for one in TAPS], FaultDeviations(clean, faults),
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_taps_that_cost_the_same_the_best_subset_is_taken(detection, count):
    found = chosen_within(TAPS, 1 + 0.1 * count + 1e-9, detection.mean, lambda taps: 1 + 0.1 * len(taps))
    every = [list(some) for n in range(count + 1) for some in combinations(TAPS, n)]
    best = max(every, key=detection.mean)
    assert len(best) == count
    assert {one.id for one in found} == {one.id for one in best}


def additive(values, base=0.0):
    return lambda taps: base + sum(values[one.id] for one in taps)


def test_the_gain_for_its_cost_decides():
    gains = additive({"a:channel": 0.3, "b:channel": 0.2, "c:channel": 0.05}, 0.5)
    costs = additive({"a:channel": 0.3, "b:channel": 0.1, "c:channel": 0.01}, 1)
    assert [one.name for one in chosen_within(TAPS[:3], 1.35, gains, costs)] == ["c", "b"]  # 5, 2 and 1 for each cost
    assert [one.name for one in chosen_within(TAPS[:3], 1.41, gains, costs)] == ["c", "b", "a"]


def test_the_budget_may_be_met_exactly():
    gains, costs = additive({"a:channel": 0.3}, 0.5), additive({"a:channel": 0.25}, 1)
    assert chosen_within(TAPS[:1], 1.25, gains, costs) == TAPS[:1]
    assert chosen_within(TAPS[:1], np.nextafter(1.25, 1), gains, costs) == []


def test_nothing_is_taken_that_adds_nothing():
    gains = additive({"a:channel": 0.25, "b:channel": 0.0, "c:channel": -0.1}, 0.5)
    assert chosen_within(TAPS[:3], 2, gains, lambda taps: 1 + 0.1 * len(taps)) == TAPS[:1]
    assert chosen_within(TAPS[1:3], 2, gains, lambda taps: 1 + 0.1 * len(taps)) == []
    gains = additive({"a:channel": 1 / 8}, 0.5)
    assert chosen_within(TAPS[:1], 2, gains, len, least_gain=1 / 8) == TAPS[:1]
    assert chosen_within(TAPS[:1], 2, gains, len, least_gain=0.126) == []


def test_a_dearer_way_takes_the_place_of_a_cheaper_one():
    few, whole = tap("a", "sample4"), tap("a")
    gains = additive({few.id: 0.2, whole.id: 0.3}, 0.5)
    costs = additive({few.id: 0.01, whole.id: 0.1}, 1)
    assert chosen_within([whole, few], 1.2, gains, costs) == [whole]
    assert chosen_within([whole, few], 1.05, gains, costs) == [few]


def test_the_tap_that_adds_least_for_its_cost_goes():
    gains = additive({"a:channel": 0.3, "b:channel": 0.2, "c:channel": 0.05}, 0.5)
    costs = additive({"a:channel": 0.5, "b:channel": 0.1, "c:channel": 0.01}, 1)
    assert [one.name for one in without_least(TAPS[:3], gains, costs)] == ["b", "c"]
    harmful = additive({"a:channel": 0.3, "b:channel": -0.2, "c:channel": 0.0}, 0.5)
    assert [one.name for one in without_least(TAPS[:3], harmful, len)] == ["a", "c"]
    with pytest.raises(ValueError, match="expected taps of which one can go"):
        without_least([], gains, costs)
