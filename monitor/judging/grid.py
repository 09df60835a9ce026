"""The grid on which a judge brings the columns of places together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...networks import Tap
from ..data.groups import Groups
from ..facts.network import told_apart
from ..kernels import places as kernels
from ..places.seen import Places
from ..profile import Profile
from .places import Axes, Shape, count, place_axes, places_under, samples_of

if TYPE_CHECKING:
    from ..logic import Scales, Scorer
    from ..places.logic import MapScorer, PlaceLogic


def place_columns(profile: Profile) -> list[int]:
    """The columns whose samples are the places of a map, of one row a frame."""
    return [i for i, column in enumerate(profile.columns) if told_apart(profile.facts.taps[column.tap])]


def finest(taps: Sequence[Tap]) -> tuple[tuple[int, int], Axes]:
    """The map with the most places, the first of several: its (height, width), and how its places lie."""
    tap = max(taps, key=lambda one: samples_of(one) or 0)
    axes = place_axes(tap) or ()
    height, width = (count((axis,)) for axis in axes)
    return (height, width), axes


class Grid:
    """The deviations of the places of n frames at one resolution, and the maps that a logic makes of them.

    values: (n, columns, height, width) float32, written by `taker`. broken: (n,) uint8, whether a place of a class that
    is covered has no finite deviation. columns: of the profile, in their order here.
    """

    def __init__(self, profile: Profile, n: int) -> None:
        self.columns = place_columns(profile)
        taps = [profile.facts.taps[profile.columns[i].tap] for i in self.columns]
        self.shape, self._axes = finest(taps)
        self.extent = profile.facts.extent or self.shape
        self.values = np.zeros((n, len(self.columns), *self.shape), np.float32)
        self.broken = np.zeros(n, np.uint8)
        self._covered = profile.trusted.covered_of_map
        self._classes: np.ndarray | None = None
        self._mapper: MapScorer | None = None
        self._level = np.inf
        self._logic: PlaceLogic | None = None

    def taker(
        self, profile: Profile, column: int, shape: Shape, of_places: np.ndarray, classes: np.ndarray, out: np.ndarray
    ) -> Callable[[], object]:
        """The compiled call that brings the deviations of a column's places here, and writes the highest to `out`.

        of_places, classes: (n * places,), of a map of that shape. out: (n, columns) float32.
        """
        covered = profile.trusted.covered if self._covered is None else self._covered
        known = (covered & (profile.signatures[column].counts > 0)).astype(np.uint8)
        own = place_axes(profile.facts.taps[profile.columns[column].tap]) or ()
        rows, across = places_under(self._axes, own)
        if self._covered is not None and shape == self.shape:
            self._classes = classes.reshape(len(self.values), *shape)
        to = self.columns.index(column)
        return partial(
            kernels.take_places, of_places, classes, known, rows, across, shape[1], to, self.values, self.broken,
            column, out,
        )  # fmt: skip

    def scorer(
        self, logic: PlaceLogic, scales: Scales, groups: Groups, infinite: np.ndarray, deviations: np.ndarray,
        score: np.ndarray,
    ) -> Scorer:  # fmt: skip
        """What writes the maps and the scores (n,).

        infinite: (n,) uint8, frames whose score is infinite anyway, as it is where one of the deviations (n, columns)
        is, also of columns that do not vote.
        """
        mapper = self._mapper = logic.scorer(scales, groups, self.values, score)
        self._level, self._logic = logic.level_of(scales), logic
        alarm = partial(kernels.alarm_broken, infinite, self.broken, deviations, score)

        def score_frames() -> None:
            mapper()
            alarm()

        return score_frames

    def places(self, i: int) -> Places:
        """What is to be said of the places of a frame of the last batch."""
        values = None if self._mapper is None else self._mapper.maps[i].copy()
        classes = None if self._classes is None else self._classes[i].astype(np.int16)
        return Places(values, self._level, self.extent, classes, logic=self._logic)
