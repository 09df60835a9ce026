"""Figures over bases: means, what a tuning costs, and the comparison at matched safety, with intervals.

A base is the unit: its tunings are averaged first, and the interval is Student's t over bases. Shares become per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean over bases with its interval; NaN for bounds where there is one base, and for all where there is none."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """The mean of one value a base, and Student's t interval of it. Values that are NaN are left out."""
    from scipy import stats

    found = np.asarray([value for value in values if np.isfinite(value)], np.float64)
    if not len(found):
        return Interval(np.nan, np.nan, np.nan)
    mean = float(found.mean())
    if len(found) < 2:
        return Interval(mean, np.nan, np.nan)
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return Interval(mean, mean - half, mean + half)


def over_bases(
    figures: Mapping[str, Any], name: str | None, key: str, less: str | None = None, less_key: str | None = None
) -> Interval:
    """A figure on test pictures in %, of a tuning, or of the bases for None; minus that of another tuning if named."""
    values = []
    for base in figures["bases"]:
        value = _mean(base, name, key)
        values.append(100 * (value - _mean(base, less, less_key or key) if less else value))
    return interval(values)


def cost(figures: Mapping[str, Any], name: str, less: str | None = None) -> Interval:
    """Points of accuracy lost outside the tuning, against the base; minus those of another tuning if named."""
    return interval([_lost(base, name) - (_lost(base, less) if less else 0.0) for base in figures["bases"]])


def kept(figures: Mapping[str, Any], name: str) -> Interval:
    """R@1 after a tuning, as % of the base's."""
    return interval([100 * _mean(base, name, "recall") / _mean(base, None, "recall") for base in figures["bases"]])


def swept(figures: Mapping[str, Any]) -> list[float]:
    """The weights of the sweep."""
    return list(figures["swept"])


def matched(figures: Mapping[str, Any]) -> Interval:
    """How many points more rigid redirection loses outside than the nearest, at the same safety in the old gallery.

    Each tuning of a sweep is a point of safety and loss. The points of a target are a curve, interpolated between them,
    for each base and each draw. The difference is averaged over the levels of safety that both curves of a draw have.
    A draw whose curves have none in common is left out.
    """
    return interval([_matched(base, figures["swept"]) for base in figures["bases"]])


def curve(base: Mapping[str, Any], kind: str, weights: Sequence[float], draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Safety and points lost of a draw's tunings of a kind, sorted by safety."""
    runs = [base["tunings"][f"{kind} {weight:g}"][draw]["test"] for weight in weights]
    safety = np.array([100 * run["unsafe_frozen"] for run in runs])
    lost = np.array([100 * (base["before"]["test"]["accuracy_outside"] - run["accuracy_outside"]) for run in runs])
    order = np.argsort(safety, kind="stable")
    return safety[order], lost[order]


def _matched(base: Mapping[str, Any], weights: Sequence[float]) -> float:
    differences = []
    for draw in range(len(base["tunings"][f"rigid {weights[0]:g}"])):
        (rigid, rigid_lost), (near, near_lost) = (curve(base, kind, weights, draw) for kind in ("rigid", "nearest"))
        low, high = max(rigid[0], near[0]), min(rigid[-1], near[-1])
        if low < high:
            levels = np.linspace(low, high, 101)
            difference = np.interp(levels, rigid, rigid_lost) - np.interp(levels, near, near_lost)
            differences.append(float(difference.mean()))
    return float(np.mean(differences)) if differences else float("nan")


def _lost(base: Mapping[str, Any], name: str) -> float:
    return 100 * (_mean(base, None, "accuracy_outside") - _mean(base, name, "accuracy_outside"))


def _mean(base: Mapping[str, Any], name: str | None, key: str) -> float:
    if name is None:
        return float(base["before"]["test"][key])
    return float(np.mean([run["test"][key] for run in base["tunings"][name]]))
