"""The page of an evaluation: its table, its curves, what became of the network's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...monitor.evaluation import Curve, Evaluation, SetResult
from ...monitor.evaluation.judged import ADAPTIVE, ATTACK, CLEAN, CORRUPTION, FAULT, GIVEN
from ..pages import fill
from ..printable import counted

KINDS = {
    CLEAN: "Clean",
    GIVEN: "Given",
    CORRUPTION: "Corruptions",
    FAULT: "Sensor faults",
    ATTACK: "Attacks on the network alone",
    ADAPTIVE: "Attacks that know the monitor",
}
_PANELS = 60


def render_evaluation(found: Evaluation, facts: Mapping[str, Any] | None = None) -> str:
    """The page as HTML with its curves inside, without a script. Raises ImportError naming the extra `report`.

    facts: more to tell: ``profile`` with ``file``, ``bytes`` and ``sha256``.
    """
    others = [one for one in found.unsafe if one.kind != CORRUPTION]
    corruptions = by_corruption(found)
    drawn = [(one.name, [one]) for one in others] + list(corruptions.items())
    drawn = [(name, [one for one in sets if one.roc is not None]) for name, sets in drawn]
    filters: dict[str, Callable[..., Any]] = {
        "percent": percent,
        "figure": figure,
        "number": counted,
        "grouped": "{:,}".format,
        "path": path,
    }
    return fill(
        Path(__file__).with_name("page.html"),
        filters,
        found=found,
        profile=(facts or {}).get("profile"),
        groups=[(name, [one for one in others if one.kind == kind]) for kind, name in KINDS.items()],
        corruptions=corruptions,
        severities=sorted({one.severity for sets in corruptions.values() for one in sets if one.severity}),
        panels=[(name, sets) for name, sets in drawn if sets][:_PANELS],
        hidden=max(sum(bool(sets) for _, sets in drawn) - _PANELS, 0),
        with_errors=[one for one in (found.clean, *others) if one.errors is not None],
        attacks=[one for one in found.unsafe if one.evaded is not None],
        above=sum(one.flagged.share > found.false_alarm_rate for one in found.clean.by_drive),
        worst=max(found.clean.by_drive, key=lambda one: one.flagged.share, default=None),
        flagged=[one.flagged.share for one in found.unsafe if one.frames],
    )


def by_corruption(found: Evaluation) -> dict[str, list[SetResult]]:
    """The sets of each corruption, the lowest severity first."""
    sets = sorted((one for one in found.unsafe if one.kind == CORRUPTION), key=lambda one: one.severity or 0)
    names = dict.fromkeys(one.name.rpartition(" ")[0] for one in found.unsafe if one.kind == CORRUPTION)
    return {name: [one for one in sets if one.name.rpartition(" ")[0] == name] for name in names}


def percent(share: float | None) -> str:
    """``4.7 %``, ``92.3 %``, ``0.02 %``; a dash for none. Only 0 reads as 0 %, only 1 as 100 %."""
    if share is None or share != share:  # noqa: PLR0124 (NaN)
        return "–"
    value = 100 * share
    if 0 < value < 0.1 or 99.9 < value < 100:
        return f"{value:.2g}\u202f%" if value < 1 else ">\u202f99.9\u202f%"
    return f"{value:.1f}".removesuffix(".0") + "\u202f%"


def figure(value: float) -> str:
    """Three digits, with commas and without an exponent where it can be."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def path(curve: Curve, left: float, bottom: float, width: float, height: float) -> str:
    """The path of a curve of shares in a figure."""
    points = [f"{left + width * x:.1f} {bottom - height * y:.1f}" for x, y in zip(curve.x, curve.y, strict=True)]
    return "M" + "L".join(points)
