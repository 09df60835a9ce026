"""The tables of the closed loop, from their raw figures."""

from __future__ import annotations

from statistics import median
from typing import Any

from ..tables import Part, Table

SOON = 10
"""Frames within which a fault that changes the driving is to be flagged."""


def drive(figures: dict[str, Any]) -> list[Part]:
    """A row for each fault, then the clean drives and the time of a frame."""
    settings, clean, times = (figures[key] for key in ("settings", "clean", "frame ms"))
    keys = "changed", "changed and flagged soon", "flagged soon", "left without", "left with", "stopped"
    rows = [
        [row["fault"], *(str(row[key]) for key in keys), f"{median(delays):.0f}" if delays else "–"]
        for row in figures["faults"]
        for delays in [[delay for delay in row["delays"] if delay is not None]]
    ]
    totals = [str(sum(row[key] for row in figures["faults"])) for key in keys]
    return [
        Table(
            f"{clean['drives']} unseen tracks, {settings['frames']} frames each, the fault from frame"
            f" {settings['fault at']} on",
            [
                "fault", "changes the driving", f"of these flagged within {SOON} frames",
                f"of all flagged within {SOON} frames", "left the road without guard", "left with guard",
                "stopped by the guard", "median frames to the alarm",
            ],
            [*rows, ["all", *totals, ""]],
        ),
        f"Clean drives: {clean['alarms']} of {clean['drives']} had an alarm, {clean['stopped']} were stopped.",
        f"Of their {clean['frames']:,} frames {clean['frames above']} lay above the threshold.",
        f"Median time of a frame: {times['bare']['0.5']:.3f} ms bare, {times['monitored']['0.5']:.3f} ms guarded.",
    ]  # fmt: skip
