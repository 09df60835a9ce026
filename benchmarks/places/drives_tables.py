"""The tables of other drives, from their raw figures."""

from __future__ import annotations

from typing import Any

from ..tables import Part, Table, percent


def drives(figures: dict[str, Any]) -> list[Part]:
    """The rate that was asked for beside those of a known and of a new drive, then what recalibrations do."""
    seen, test = figures["seen"], figures["test"]
    low, high = seen["interval"]
    held_out = f"{percent(seen['realised'])} [{100 * low:.0f}, {100 * high:.0f}]"
    rows = [["held-out frames, one drive of training", str(seen["n"]), held_out, "–"]]
    rows += [
        [f"test, {'a drive of training' if name == 'known' else 'a new drive'} ({', '.join(one['drives'])})",
         str(one["clean"]["of"]), _share(one["clean"]), _share(one["animal"])]
        for name, one in test.items()
    ]  # fmt: skip
    again = [
        [f"{one['given']} frames, {one['way']}", percent(one["rate"], 0), _mean(one), percent(one["strange"])]
        for one in figures["again"]
    ]
    refused = [f"`{how}=` is refused: {said}." for how, said in figures["refused"].items()]
    return [
        Table(
            f"{percent(figures['asked'], 0)} of clean frames asked for",
            ["frames", "count", "clean ones alarmed", "with an animal alarmed"],
            rows,
        ),
        f"What the calibration says: {figures['promise']}.",
        *refused,
        Table(
            f"The threshold set anew on frames of the new drive, the scales kept ({figures['draws']} draws at random)",
            ["given", "asked for", "other clean frames alarmed", "with an animal alarmed"],
            again,
        ),
        f"What a recalibration says: {figures['promise again']}.",
    ]


def _share(one: dict[str, float]) -> str:
    return f"{percent(one['count'] / one['of'])} [{100 * one['low']:.0f}, {100 * one['high']:.0f}]"


def _mean(one: dict[str, float]) -> str:
    spread = f" ({100 * one['low']:.0f} to {100 * one['high']:.0f})" if one["high"] > one["low"] else ""
    return f"{percent(one['clean'])}{spread}"
