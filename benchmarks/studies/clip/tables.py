"""The tables of the study, and the rule by which each of the paper's statements held or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...tables import Part, Table
from .claims import Interval, cost, kept, matched, over_bases, swept

BEST_KNOWN = "nearest 1"  # the tuning that the bars are for: equal weights and the paper's curriculum
RIGID = "rigid 1"
SHOWN = 12  # captions


def clip(figures: Mapping[str, Any]) -> list[Part]:
    """Encoders, claims, the sweep, and what was taken for each unsafe concept."""
    return [_encoders(figures), _claims(figures), _sweep(figures), *_taken(figures), _setting(figures)]


def _encoders(figures: Mapping[str, Any]) -> Table:
    """A row for each tuning: means over bases."""
    columns = (
        ("top-1 inside", "accuracy_inside"),
        ("outside", "accuracy_outside"),
        ("of unsafe", "accuracy_unsafe"),
        ("held out", "accuracy_held_out"),
        ("safe, old gallery", "unsafe_frozen"),
        ("tuned gallery", "unsafe_tuned"),
        ("even, old", "unsafe_frozen_even"),
        ("held out, old", "held_out_frozen"),
        ("held out, tuned", "held_out_tuned"),
        ("R@1", "recall"),
    )
    rows = [
        [name or "the base", *(_plain(over_bases(figures, name, key)) for _, key in columns)]
        for name in (None, *_tunings(figures))
    ]
    title = f"Encoders on test pictures, in %: means over {len(figures['bases'])} bases and their tunings"
    return Table(title, ["", *(word for word, _ in columns)], rows)


def _claims(figures: Mapping[str, Any]) -> Table:
    rows = [[said, _signed(found), held(found, rule)] for said, found, rule in statements(figures)]
    return Table("Statements (95 % interval over bases, Student’s t)", ["", "here", "held"], rows)


Rule = Callable[[Interval], bool | None]


def statements(figures: Mapping[str, Any]) -> list[tuple[str, Interval, Rule]]:
    """Each statement, its figure in points or %, and the rule for it, which were written before the study was run."""
    every = _tunings(figures)
    found: list[tuple[str, Interval, Rule]] = [
        ("bar: base top-1 at least 30", over_bases(figures, None, "accuracy"), at_least(30)),
        (f"bar: {BEST_KNOWN}: safety in the old gallery at least 80", over_bases(figures, BEST_KNOWN, "unsafe_frozen"),
         at_least(80)),
        (f"bar: {BEST_KNOWN}: R@1 at least 90 % of the base’s", kept(figures, BEST_KNOWN), at_least(90)),
        (f"bar: {BEST_KNOWN}: at most 8 points lost outside", cost(figures, BEST_KNOWN), at_most(8)),
    ]  # fmt: skip
    if {RIGID, BEST_KNOWN} <= set(every):
        text = "bar: at equal weight rigid loses at least 3 points more outside"
        found.append((text, cost(figures, RIGID, BEST_KNOWN), at_least(3)))
    found.append(("paper: at the same safety rigid loses more outside", matched(figures), above))
    for other, text in (
        ("nearest 1, no curriculum", "paper: without curriculum more is lost outside"),
        ("nearest 1, curriculum by target", "ours: ordered by the target’s similarity more is lost outside"),
        ("Safe-CLIP", "paper: Safe-CLIP loses more outside"),
    ):
        if other in every:
            found.append((text, cost(figures, other, BEST_KNOWN), above))
    if "Safe-CLIP" in every:
        values = over_bases(figures, BEST_KNOWN, "unsafe_frozen", "Safe-CLIP")
        found.append(("paper: it is safer than Safe-CLIP, old gallery", values, above))
    moved = over_bases(figures, BEST_KNOWN, "unsafe_frozen", BEST_KNOWN, "unsafe_tuned")
    found.append(("trap: the old gallery looks safer than the tuned one", moved, above))
    return found


def _sweep(figures: Mapping[str, Any]) -> Table:
    rows = []
    for weight in figures["swept"]:
        cells = [f"{weight:g}"]
        for kind in ("nearest", "rigid"):
            name = f"{kind} {weight:g}"
            cells += [
                _plain(over_bases(figures, name, "unsafe_frozen")),
                _plain(over_bases(figures, name, "unsafe_tuned")),
                _signed(cost(figures, name)),
            ]
        rows.append(cells)
    header = ["weight of redirection", *(f"{kind}: {what}" for kind in ("nearest", "rigid") for what in
              ("safe, old", "tuned gallery", "points lost outside"))]  # fmt: skip
    return Table("The sweep", header, rows)


def _taken(figures: Mapping[str, Any]) -> list[Part]:
    """What was nearest to each unsafe concept, over templates, bases and draws."""
    counts: dict[str, dict[str, int]] = {}
    for base in figures["bases"]:
        for tuning in base["tunings"].get(BEST_KNOWN, []):
            for unsafe, safe, _, times in tuning["taken"]:
                what = next(name for name in figures["classes"]["unsafe"] if unsafe.endswith(name))
                place = counts.setdefault(what, {})
                place[safe] = place.get(safe, 0) + times
    if not counts:
        return []
    rows = []
    for what, places in counts.items():
        named: dict[str, int] = {}
        for safe, times in places.items():
            name = safe.rpartition(" a ")[2]
            named[name] = named.get(name, 0) + times
        whole = sum(named.values())
        best = sorted(named.items(), key=lambda item: -item[1])[:4]
        rows.append([what, ", ".join(f"{name} {100 * times / whole:.0f} %" for name, times in best)])
    return [Table("What was nearest in the frozen text encoder", ["unsafe concept", "safe concepts taken"], rows)]


def _setting(figures: Mapping[str, Any]) -> str:
    classes, (steps, batch) = figures["classes"], figures["schedules"]["tuning"]
    lost = {name: _plain(over_bases(figures, name, "accuracy_outside")) for name in ("preservation alone",)}
    return (
        f"{classes['safe']} safe classes, half of them inside the tuning; unsafe: {', '.join(classes['unsafe'])}; held"
        f" out: {', '.join(classes['held_out'])}. Tunings of {steps} steps of {batch} pairs. Preservation alone keeps"
        f" {lost['preservation alone']} % outside. Matched safety: mean difference of the interpolated curves where"
        f" both have been measured, {len(swept(figures))} weights and no tuning each; no weight is chosen."
    )


def _tunings(figures: Mapping[str, Any]) -> Sequence[str]:
    return list(figures["bases"][0]["tunings"])


def at_least(bound: float) -> Rule:
    return lambda found: None if np.isnan(found.mean) else found.mean >= bound


def at_most(bound: float) -> Rule:
    return lambda found: None if np.isnan(found.mean) else found.mean <= bound


def above(found: Interval) -> bool | None:
    """Held where the interval lies above 0, not where it lies below; else it is not resolved."""
    if np.isnan(found.low) or found.low <= 0 <= found.high:
        return None
    return found.low > 0


def held(found: Interval, rule: Rule) -> str:
    return {True: "yes", False: "no", None: "not resolved"}[rule(found)]


def _plain(found: Interval) -> str:
    return f"{found.mean:.1f}"


def _signed(found: Interval) -> str:
    if np.isnan(found.mean):
        return "-"
    if np.isnan(found.low):
        return f"{found.mean:+.1f}"
    return f"{found.mean:+.1f} ({found.low:+.1f} to {found.high:+.1f})"
