"""Histograms per class and neuron. Their grid follows the data in one pass; the counts do not depend on the order."""

from __future__ import annotations

from typing import Any

import numpy as np

from .criterion import Arrays
from .kernels.histogram import histogram_merge, histogram_observe

_GRID = ("low", "high", "scale", "base", "counts")


def specify_histogram(neurons: int, classes: int, sections: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
    """The arrays of a histogram, for `Criterion._specification`."""
    shape = (classes, neurons)
    return {
        "low": (shape, np.float32, np.inf),
        "high": (shape, np.float32, -np.inf),
        "scale": (shape, np.float32, 0),
        "base": (shape, np.float32, 0),
        "counts": ((*shape, sections), np.uint32, 0),
    }


def observe_histogram(arrays: Arrays, values: np.ndarray, labels: np.ndarray) -> None:
    """Count values (n, neurons) float32 into the histograms of their classes."""
    histogram_observe(values, labels, *(arrays[name] for name in _GRID))


def merge_histograms(into: Arrays, other: Arrays) -> None:
    """Add `other`, which is changed, to `into`."""
    histogram_merge(*(into[name] for name in _GRID), *(other[name] for name in _GRID))


def cumulative_share(arrays: Arrays, class_index: int | np.integer, points: np.ndarray) -> np.ndarray:
    """The share of a class's samples at or below each point, linear inside a section.

    points: (neurons, p). Returns (neurons, p) float64. Off by at most the share inside the point's own section.
    """
    edges, cumulative = _cumulative(arrays, class_index)
    low, high = arrays["low"][class_index, :, None], arrays["high"][class_index, :, None]
    share = _interpolate(points, edges, cumulative)
    return np.where(points >= high, 1.0, np.where(points < low, 0.0, share))


def quantile_range(arrays: Arrays, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """The `quantile` and 1 - `quantile` points, (classes, neurons) float32 each, linear inside a section."""
    low, high = arrays["low"].copy(), arrays["high"].copy()
    for c in range(len(low)):
        if np.isfinite(low[c]).all():
            edges, cumulative = _cumulative(arrays, c)
            levels = np.tile([quantile, 1 - quantile], (len(edges), 1))
            low[c], high[c] = _interpolate(levels, cumulative, edges).T
    return low, high


def _cumulative(arrays: Arrays, c: int | np.integer) -> tuple[np.ndarray, np.ndarray]:
    counts = arrays["counts"][c].astype(np.float64)
    sections = counts.shape[1]
    scale, base = arrays["scale"][c].astype(np.float64), arrays["base"][c].astype(np.float64)
    edges = (base[:, None] + np.arange(sections + 1)) / np.where(scale, scale, 1)[:, None]
    edges = np.clip(edges, arrays["low"][c, :, None], arrays["high"][c, :, None])
    cumulative = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    return edges, cumulative / np.maximum(cumulative[:, -1:], 1)


def _interpolate(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(*row) for row in zip(x, xs, ys, strict=True)])
