"""Shares of kinds, by hand."""

from __future__ import annotations

import pytest

from benchmarks.places.kinds_tables import kinds, means, totals


def row(kind, alarms, **named):
    counts = dict.fromkeys(("sensor", "adversarial", "unfamiliar", "unsure", "unknown"), 0) | named
    return {"name": "x", "kind": kind, "group": "g", "images": 100, "alarms": alarms, "named": counts}


ROWS = [
    row("", 5, unfamiliar=5),
    row("sensor", 10, sensor=8, unsure=2),
    row("sensor", 100, sensor=40, unknown=60),
    row("sensor", 4, unsure=4),  # too few to say anything
    row("unsure", 20, unsure=5, sensor=5, unknown=10),
]


def test_conditions_of_a_kind_and_kinds_weigh_the_same():
    count, shares = means(one for one in ROWS if one["kind"] == "sensor")
    assert count == 2
    assert shares == pytest.approx({"sensor": 0.6, "adversarial": 0, "unfamiliar": 0, "unsure": 0.1, "unknown": 0.3})
    right, wrong = totals(ROWS)
    assert right == pytest.approx((0.6 + 0.25) / 2)
    assert wrong == pytest.approx((0.1 + 0.25) / 2)


def test_tables_leave_out_kinds_without_conditions():
    learned = {"left_out": {"sensor": None, "unsure": ROWS[4]["named"] | {"unsure": 1.0}}}
    confusion, said, left_out, each = kinds({"title": "T", "rows": ROWS, "learned": learned})
    assert [one[:2] for one in confusion.rows] == [["sensor", "2"], ["unsure", "1"]]
    assert "named right, 18 % wrong and" in said
    assert len(left_out.rows) == 1
    assert len(each.rows) == len(ROWS)
    assert each.rows[0][2] == "–"
