"""The word for a budget, and the taps that a choice is made among."""

from __future__ import annotations

import pytest

from outrider.networks import Tap
from outrider.runtime.budget.candidates import budget_of, candidate_taps, in_place_of


def tap(name, shape, neurons="channel", **facts):
    layout = {1: "NC", 2: "NLC", 3: "NCHW"}[len(shape)]
    return Tap(name, facts.pop("kind", "relu"), shape, layout, "float32", neurons, **facts)


@pytest.mark.parametrize("selectors", ["budget:1.05", ("budget:1.05",)])
def test_a_budget_is_read(selectors):
    assert budget_of(selectors) == 1.05
    assert budget_of(("auto", "first:unit")) is None


@pytest.mark.parametrize("number", ["", "1", "0.9", "nan", "inf", "-2", "a bit"])
def test_what_is_no_number_above_1_is_refused(number):
    with pytest.raises(ValueError, match="expected a number above 1 behind 'budget:'"):
        budget_of(f"budget:{number}")


@pytest.mark.parametrize(
    ("selectors", "beside"), [(("budget:1.05", "auto"), "got auto"), (("budget:1.1", "budget:1.1"), "got budget:1.1")]
)
def test_a_budget_stands_alone(selectors, beside):
    with pytest.raises(ValueError, match=f"chooses all taps, {beside} beside it"):
        budget_of(selectors)


def test_maps_are_candidates_in_fewer_places_than_they_have():
    taps = [
        tap("first", (8, 14, 14), "unit"),
        tap("first", (8, 14, 14)),
        tap("wide", (8, 4, 8)),
        tap("seven", (8, 7, 7)),
        tap("four", (8, 4, 4)),
        tap("tokens", (9, 16)),
        tap("open", (8, None, None)),
        tap("regions", (8, 14, 14), rows=5),
        tap("four", (8, 4, 4), "channel-max"),
        tap("dense", (32,), "unit"),
        tap("scores", (10,), "unit", kind="output"),
    ]
    assert [one.id for one in candidate_taps(taps)] == [
        "first:unit", "first:channel", "first:sample7", "first:sample4", "wide:channel", "wide:sample7",
        "seven:channel", "seven:sample4", "four:channel", "tokens:channel", "tokens:sample7",
        "tokens:sample4", "open:channel", "regions:channel", "four:channel-max", "dense:unit",
    ]  # fmt: skip


def test_a_second_way_to_the_means_takes_the_place_of_the_first():
    whole, few, units, largest, other = (
        tap("a", (8, 14, 14)), tap("a", (8, 14, 14), "sample4"), tap("a", (8, 14, 14), "unit"),
        tap("a", (8, 14, 14), "channel-max"), tap("b", (8, 14, 14)),
    )  # fmt: skip
    assert in_place_of(few, [units, whole, largest, other]) == [units, largest, other, few]
    assert in_place_of(units, [whole, largest]) == [whole, largest, units]
