"""Figures with their bootstrap intervals; frames of one drive are drawn together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .metrics import aupr_of, aurc_of, auroc_of, fpr_of, levels_of, ranks

RESAMPLES = 1000
LEVEL = 0.95
_FEWEST = 2


class Estimate(NamedTuple):
    """A figure, and its percentile interval from the bootstrap; None where there are too few frames or drives."""

    value: float
    interval: tuple[float, float] | None = None


class Separation(NamedTuple):
    """How far scores tell unsafe frames from clean ones; see `metrics`."""

    auroc: Estimate
    aupr: Estimate
    fpr95: Estimate


Draw = Callable[[np.random.Generator], np.ndarray]
"""Which frames a resample holds: indices, with as many of each as it was drawn."""


def separation(
    clean: np.ndarray,
    unsafe: np.ndarray,
    *,
    clean_drives: np.ndarray | None = None,
    unsafe_drives: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Separation:
    """AUROC, AUPR and FPR at 95 % TPR of scores (n,) and (m,), with intervals.

    clean_drives, unsafe_drives: which drive each frame is of. Then whole drives are drawn (the cluster bootstrap of
    Field and Welsh, 2007), and frames otherwise. Clean and unsafe frames are drawn apart from each other. resamples:
    0 for no intervals. The same seed draws the same. Raises ValueError where there are no scores of one kind.
    """
    ranked = ranks(clean, unsafe)
    draw_clean = drawing(len(ranked.clean), clean_drives)
    draw_unsafe = drawing(len(ranked.unsafe), unsafe_drives)

    def figures(first: np.ndarray, second: np.ndarray) -> tuple[float, ...]:
        return auroc_of(first, second), aupr_of(first, second), fpr_of(first, second)

    found = figures(*ranked.counts())
    bounds: list[tuple[float, float] | None] = [None] * len(found)
    if draw_clean is not None and draw_unsafe is not None:

        def drawn(rng: np.random.Generator) -> tuple[float, ...]:
            frames = ranked.clean[draw_clean(rng)], ranked.unsafe[draw_unsafe(rng)]
            return figures(*(np.bincount(one, minlength=ranked.levels) for one in frames))

        bounds = _bounds(drawn, resamples, level, seed, len(found))
    return Separation(*(Estimate(value, bound) for value, bound in zip(found, bounds, strict=True)))


def selective_risk(
    scores: np.ndarray,
    wrong: np.ndarray,
    *,
    drives: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """The AURC of scores (n,) and whether the network errs, (n,) bool, with its interval. See `separation`."""
    places, errors = levels_of(scores, wrong)
    count = int(places.max()) + 1
    draw = drawing(len(places), drives)

    def figure(frames: np.ndarray) -> float:
        of = places[frames]
        return aurc_of(np.bincount(of, minlength=count), np.bincount(of, errors[frames], count))

    every = np.arange(len(places))
    bound: tuple[float, float] | None = None
    if draw is not None:
        (bound,) = _bounds(lambda rng: (figure(draw(rng)),), resamples, level, seed, 1)
    return Estimate(figure(every), bound)


def drawing(n: int, drives: np.ndarray | None = None) -> Draw | None:
    """What draws n frames with replacement, or as many drives as there are with all their frames.

    None where there are fewer than two to draw. Raises ValueError for other than a drive a frame.
    """
    if drives is None:
        return None if n < _FEWEST else lambda rng: rng.integers(n, size=n)
    given = np.asarray(drives)
    if given.shape != (n,):
        raise ValueError(f"expected the drive of each of {n:,} frames, got shape {given.shape}")
    _, number, sizes = np.unique(given, return_inverse=True, return_counts=True)
    of_drive = np.split(np.argsort(number, kind="stable"), np.cumsum(sizes)[:-1])
    k = len(sizes)
    return None if k < _FEWEST else lambda rng: np.concatenate([of_drive[i] for i in rng.integers(k, size=k)])


def _bounds(
    drawn: Callable[[np.random.Generator], tuple[float, ...]], resamples: int, level: float, seed: int, count: int
) -> list[tuple[float, float] | None]:
    """The percentile intervals of so many figures that are made anew from each resample."""
    if not resamples:
        return [None] * count
    rng = np.random.default_rng(seed)
    values = np.array([drawn(rng) for _ in range(resamples)])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
