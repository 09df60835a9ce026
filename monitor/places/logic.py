"""Logics of places: how the deviations at the places of a frame become a map, and the map a score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..kernels import places as kernels
from ..logic import Logic, Scales

if TYPE_CHECKING:
    from ..data.groups import Groups
    from .regions import Region

_KNOTS = 64
_MOST = 2**20
"""The held-out places of a column that its curve is made of, at most; evenly taken."""
_TAIL_LEAST = 20


class MapScorer:
    """Writes the maps of grids that stay where they are, and the scores of their frames.

    maps: (n, height, width) float32, the mean of -log p, averaged over the box; those of the last call.
    """

    __slots__ = ("_before", "_box", "_rule", "_surprise", "maps")

    def __init__(self, grids: np.ndarray, scales: Scales, half: int) -> None:
        n, _, height, width = grids.shape
        self.maps = np.empty((n, height, width), np.float32)
        self._before = np.empty_like(self.maps)
        self._surprise = grids, *(np.ascontiguousarray(scales[k], np.float64) for k in ("value", "surprise", "excess"))
        self._box = half, np.empty((height, width))
        self._rule: Callable[[], object] | None = None

    def then(self, rule: Callable[..., object], *settings: object) -> MapScorer:
        """Let a rule make scores of the maps; it is called with them and its settings."""
        self._rule = partial(rule, self.maps, *settings)
        return self

    def __call__(self) -> None:
        kernels.mean_surprise(*self._surprise, self._before)
        kernels.box_means(self._before, *self._box, self.maps)
        if self._rule is not None:
            self._rule()


@dataclass(frozen=True)
class PlaceLogic(Logic):
    """A logic for columns whose samples are the places of a map.

    smooth: the side of the box that the map is averaged over, in places, odd; on small maps it reaches no further to
    each side than a quarter of the map. level: the share of the places of
    held-out frames that lie below the level of regions.

    What it fits and scores are grids, (n, columns, height, width): the deviations at all places, of all columns at one
    resolution. A place of a class that is not covered deviates by +inf there, which is very surprising and no more: it
    does not make the frame infinite. At each place the mean over columns of s = -log p is taken, p the share of
    held-out places that deviate at least as much (Fisher's way to join; on maps the harmonic mean lets a bad layer
    win). The map is its mean over the box.
    """

    smooth: int = 5
    level: float = 0.99
    of_places: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.smooth < 1 or self.smooth % 2 == 0:
            raise ValueError(f"expected smooth as an odd number of places from 1, got {self.smooth}")
        if not 0 < self.level < 1:
            raise ValueError(f"expected level as a share of places between 0 and 1, got {self.level}")

    def _fit(self, deviations: np.ndarray, groups: Groups) -> Scales:
        scales = _fit_places(deviations)
        mapper = self.mapper(scales, np.ascontiguousarray(deviations, np.float32))
        mapper()
        return scales | {"level": np.quantile(mapper.maps, [self.level]).astype(np.float64)}

    @abstractmethod
    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> MapScorer:
        """What writes maps and scores of grids that stay where they are, (n, columns, height, width) float32."""

    def mapper(self, scales: Scales, grids: np.ndarray) -> MapScorer:
        """What writes the maps alone."""
        return MapScorer(grids, scales, self.half(grids.shape[2], grids.shape[3]))

    def half(self, height: int, width: int) -> int:
        """How many places the box reaches to each side, on a map of that size."""
        return min(self.smooth // 2, (min(height, width) - 1) // 4)

    @abstractmethod
    def score_of(self, region: Region, highest: float) -> float:
        """The score of a frame that had this region alone. highest: the highest value of its map."""

    @staticmethod
    def level_of(scales: Scales) -> float:
        """The value of a map above which a place deviates."""
        return float(scales["level"][0])


@dataclass(frozen=True)
class LargestArea(PlaceLogic):
    """The largest connected part of the map above its level, in places, which touch along sides and corners.

    To order frames of equal areas the score has m / (1 + m) more, m the highest value of the map.
    """

    name: ClassVar[str] = "largest_area"

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> MapScorer:
        labels, sizes = (np.empty(deviations.shape[2] * deviations.shape[3], np.int32) for _ in range(2))
        return self.mapper(scales, deviations).then(kernels.largest_area, self.level_of(scales), labels, sizes, out)

    def score_of(self, region: Region, highest: float) -> float:
        return region.places + (highest / (1 + highest) if highest < np.inf else 1.0)


@dataclass(frozen=True)
class WorstPlace(PlaceLogic):
    """The highest value of the map. The level is of its regions alone."""

    name: ClassVar[str] = "worst_place"

    def scorer(self, scales: Scales, groups: Groups, deviations: np.ndarray, out: np.ndarray) -> MapScorer:
        return self.mapper(scales, deviations).then(kernels.highest_place, out)

    def score_of(self, region: Region, highest: float) -> float:
        return region.peak


def _fit_places(grids: np.ndarray) -> Scales:
    """-log p as a curve per column, (knots, columns) `value` and `surprise`, then an exponential tail, `excess`.

    p of a value is (1 + the number of held-out places at least as large) / (n + 1). Knots lie evenly in -log p up to
    the last places, whose mean excess is that of the tail. Places that deviate by infinity count as the largest.
    """
    columns = np.moveaxis(grids, 1, 0).reshape(grids.shape[1], -1)
    columns = columns[:, :: max(1, columns.shape[1] // _MOST)]
    found = [_fit_column(values) for values in columns]
    value, surprise, excess = (np.stack(parts, axis=-1) for parts in zip(*found, strict=True))
    return {"value": value, "surprise": surprise, "excess": excess}


def _fit_column(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.float64]:
    finite = np.isfinite(values)
    ordered = np.sort(np.where(finite, values, values[finite].max(initial=0)))
    n = len(ordered)
    tail = min(_TAIL_LEAST, n - 1)
    wanted = np.exp(-np.linspace(0, np.log((n + 1) / (tail + 1)), _KNOTS))
    value = ordered[np.clip(np.round(n - wanted * (n + 1) + 1).astype(int) - 1, 0, n - 1 - tail)]
    excess = (ordered[n - tail :] - value[-1]).mean() if tail else 0.0
    below = np.searchsorted(ordered, value)
    return value, -np.log((1 + n - below) / (n + 1)), np.float64(excess if excess > 0 else 1.0)
