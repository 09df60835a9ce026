"""The tables of kinds of alarms, from their raw figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..tables import Part, Table, percent

TOLD = "sensor", "adversarial", "unfamiliar", "unsure"
UNKNOWN = "unknown"
LEAST = 5
"""A condition with fewer alarms says nothing of how they are named."""


def kinds(figures: dict[str, Any]) -> list[Part]:
    """The confusion matrix, a row for each condition, and what the rule says of causes that it did not learn."""
    rows, learned = figures["rows"], figures["learned"]
    head = ["", *TOLD, UNKNOWN]
    of_kinds = {kind: means(row for row in rows if row["kind"] == kind) for kind in TOLD}
    confusion = [
        [kind, str(count), *(percent(shares[to], 0) for to in (*TOLD, UNKNOWN))]
        for kind, (count, shares) in of_kinds.items()
        if count
    ]
    left_out = [
        [kind, *(percent(said[to], 0) for to in (*TOLD, UNKNOWN))]
        for kind, said in learned["left_out"].items()
        if said is not None
    ]
    each = [
        [row["group"], row["name"], row["kind"] or "–", f"{row['alarms']} of {row['images']}", *_shares(row)]
        for row in rows
    ]
    return [
        Table(
            f"{figures['title']}: the kind named (columns) of alarms of each kind (rows), the mean over conditions",
            ["", "conditions", *TOLD, UNKNOWN],
            confusion,
        ),
        _in_words(*totals(rows)),
        Table(f"{figures['title']}: examples of causes that were left out of learning", head, left_out),
        Table(
            f"{figures['title']}: each condition",
            ["", "condition", "its kind", "alarms", *TOLD, UNKNOWN],
            each,
        ),
    ]


def means(rows: Iterable[dict[str, Any]]) -> tuple[int, dict[str, float]]:
    """How many conditions have enough alarms, and the mean over them of the shares named as each kind."""
    enough = [row for row in rows if row["alarms"] >= LEAST]
    shares = {
        kind: sum(row["named"][kind] / row["alarms"] for row in enough) / max(len(enough), 1)
        for kind in (*TOLD, UNKNOWN)
    }
    return len(enough), shares


def totals(rows: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """The shares that are named right and wrong, kinds of equal weight, conditions of equal weight in each."""
    rows = list(rows)
    right, wrong, kinds_seen = 0.0, 0.0, 0
    for kind in TOLD:
        count, shares = means(row for row in rows if row["kind"] == kind)
        if count:
            kinds_seen += 1
            right += shares[kind]
            wrong += sum(shares[other] for other in TOLD if other != kind)
    return right / max(kinds_seen, 1), wrong / max(kinds_seen, 1)


def _in_words(right: float, wrong: float) -> str:
    """What is right of all that alarms, and of all that is named."""
    unknown, of_named = 1 - right - wrong, right / (right + wrong) if right + wrong else 0.0
    return (
        f"Over kinds of equal weight {percent(right, 0)} are named right, {percent(wrong, 0)} wrong and"
        f" {percent(unknown, 0)} unknown: of those that are named, {percent(of_named, 0)} are right."
    )


def _shares(row: dict[str, Any]) -> list[str]:
    if not row["alarms"]:
        return ["–"] * (len(TOLD) + 1)
    return [percent(row["named"][kind] / row["alarms"], 0) for kind in (*TOLD, UNKNOWN)]
