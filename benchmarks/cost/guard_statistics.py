"""The statistics of the guard's own time: from nanoseconds of each frame, in tenths of the run, to figures in µs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Way = dict[str, np.ndarray]
"""Nanoseconds of each frame by what was timed, and where an event was written; see `guard.beside_bare`."""


def median(values: np.ndarray) -> float:
    return float(np.median(values))


def p999(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.999))


def spread(values: np.ndarray) -> float:
    return p999(values) - median(values)


def of_bare(way: Way, name: str) -> np.ndarray:
    """Bare calls during which the log's thread did not compute."""
    return way[name][~way["disturbed"][("bare", "again").index(name)]]


BESIDE: dict[str, Callable[[Way], float]] = {
    "median": lambda way: median(way["guarded"] - way["bare"]),
    "p99.9": lambda way: p999(way["guarded"] - way["bare"]),
    "bare less bare: p99.9": lambda way: p999(way["again"] - way["bare"]),
    "p99.9 less p99.9": lambda way: p999(way["guarded"]) - p999(of_bare(way, "bare")),
    "bare less bare: the same": lambda way: p999(of_bare(way, "again")) - p999(of_bare(way, "bare")),
    "bare: p99.9 above median": lambda way: spread(way["bare"]),
}
WITHIN: dict[str, Callable[[Way], float]] = {
    "median": lambda way: median(way["within"]),
    "p99.9": lambda way: p999(way["within"]),
    "spin: p99.9 above median": lambda way: spread(way["spin"]),
}


def figures(tenths: list[Way], statistics: dict[str, Callable[[Way], float]]) -> dict[str, Any]:
    """Each statistic in µs: of all frames, of each tenth, and of the tenth in which `spin` was steadiest."""
    every = {name: np.concatenate([tenth[name] for tenth in tenths], axis=-1) for name in tenths[0]}
    quiet = int(np.argmin([spread(tenth["spin"]) for tenth in tenths]))
    told = {}
    for name, statistic in statistics.items():
        each = [statistic(tenth) / 1e3 for tenth in tenths]
        told[name] = {"all": statistic(every) / 1e3, "quietest tenth": each[quiet], "tenths": each}
    return told


def with_events(tenths: list[Way]) -> dict[str, Any]:
    """How many frames have an event or come right behind one, and the median that the guard adds to them, in µs."""
    added = []
    for tenth in tenths:
        near = tenth["wrote"].copy()
        near[1:] |= tenth["wrote"][:-1]
        added.append((tenth["guarded"] - tenth["bare"])[near])
    every = np.concatenate(added)
    return {"frames": len(every), "median": median(every) / 1e3 if len(every) else None}
