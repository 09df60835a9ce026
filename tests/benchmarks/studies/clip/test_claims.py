"""Figures over bases against hand counts, and the rules of the statements on their bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.studies.clip import tables
from benchmarks.studies.clip.claims import Interval, cost, curve, interval, kept, matched, over_bases


def run(safety, outside, recall=0.4):
    return {"test": {"unsafe_frozen": safety, "accuracy_outside": outside, "recall": recall}}


def base(rigid, nearest, outside=0.5):
    """A base with two weights of each kind: (safety, accuracy outside) of each draw."""
    tunings = {}
    for kind, points in (("rigid", rigid), ("nearest", nearest)):
        for weight, draws in zip(("0.5", "1"), points, strict=True):
            tunings[f"{kind} {weight}"] = [run(*draw) for draw in draws]
    before = {"test": {"unsafe_frozen": 0.2, "accuracy_outside": outside, "recall": 0.5}}
    return {"seed": 0, "before": before, "tunings": tunings}


ONE = base([[(0.6, 0.46)], [(0.8, 0.38)]], [[(0.5, 0.5)], [(0.7, 0.46)]])
FIGURES = {"bases": [ONE, base([[(0.5, 0.4)], [(0.9, 0.2)]], [[(0.9, 0.3)], [(0.5, 0.4)]])], "swept": [0.5, 1]}


def test_the_interval_is_students():
    found = interval([1.0, 2.0, 4.0])
    spread = math.sqrt(((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2) / 2)
    half = 4.302652729911275 * spread / math.sqrt(3)  # the 97.5th percentile of t with two degrees
    assert found == pytest.approx((7 / 3, 7 / 3 - half, 7 / 3 + half))
    assert interval([1.0, math.nan, 3.0]).mean == 2
    assert interval([5.0])[0] == 5
    assert np.isnan(interval([5.0])[1:]).all()
    assert np.isnan(interval([])).all()


def test_means_over_draws_come_before_means_over_bases():
    figures = {"bases": [base([[(0.6, 0.4), (0.8, 0.4)], [(0, 0.4)]], [[(0, 0.4)], [(0, 0.4)]]), ONE]}
    assert over_bases(figures, "rigid 0.5", "unsafe_frozen").mean == pytest.approx((70 + 60) / 2)
    assert over_bases(figures, None, "unsafe_frozen").mean == pytest.approx(20)
    assert over_bases(figures, "rigid 0.5", "unsafe_frozen", "rigid 1").mean == pytest.approx((70 - 0 + 60 - 80) / 2)


def test_cost_and_kept_are_against_the_base():
    assert cost(FIGURES, "rigid 1").mean == pytest.approx((12 + 30) / 2)
    assert cost(FIGURES, "rigid 1", "nearest 1").mean == pytest.approx(((12 - 4) + (30 - 10)) / 2)
    assert kept(FIGURES, "rigid 1").mean == pytest.approx(80)


def test_a_curve_is_sorted_by_safety():
    safety, lost = curve(FIGURES["bases"][1], "nearest", [0.5, 1], 0)
    np.testing.assert_allclose(safety, [50, 90])
    np.testing.assert_allclose(lost, [10, 20])


def test_matched_safety_compares_where_both_curves_are():
    # base 1, from 60 to 70: rigid loses 4 to 8, nearest 2 to 4: 3 on average; base 2, 50 to 90: 20 against 15
    assert matched(FIGURES).mean == pytest.approx((3 + 5) / 2)
    apart = base([[(0.8, 0.4)], [(0.9, 0.3)]], [[(0.1, 0.5)], [(0.8, 0.4)]])
    assert np.isnan(matched({"bases": [apart], "swept": [0.5, 1]}).mean)


@pytest.mark.parametrize(
    ("rule", "found", "wanted"),
    [
        (tables.at_least(30), Interval(30.0, 20, 40), "yes"),
        (tables.at_least(30), Interval(29.99, 20, 40), "no"),
        (tables.at_most(8), Interval(8.0, 1, 9), "yes"),
        (tables.at_most(8), Interval(8.01, 1, 9), "no"),
        (tables.at_most(8), Interval(math.nan, math.nan, math.nan), "not resolved"),
        (tables.above, Interval(1.0, 0.0, 2.0), "not resolved"),
        (tables.above, Interval(1.0, 0.1, 2.0), "yes"),
        (tables.above, Interval(-1.0, -2, -0.1), "no"),
        (tables.above, Interval(5.0, math.nan, math.nan), "not resolved"),
    ],
)
def test_rules_on_their_bounds(rule, found, wanted):
    assert tables.held(found, rule) == wanted
