"""Columns bound to arrays for n frames: what writes their deviations, a call a criterion or a call a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...coverage import Joined
from ..data.arrays import all_finite, finite_rows
from ..facts.network import gives_codes, told_apart
from ..kernels import verdicts as kernels
from ..profile import Profile
from .grid import Grid
from .places import Axes, count, middles, place_axes, sample_shape, samples_of

Step = Callable[[], object]
Activations = Sequence[np.ndarray]


class ScoreMap:
    """The maps of class scores of n frames, and the classes of the places of taps that they tell apart.

    covered: (classes,) uint8, 1 where a class is, or None where places are not told apart.
    """

    def __init__(self, frames: int, covered: np.ndarray | None) -> None:
        self.frames, self.covered = frames, covered
        self._sizes: tuple[int, ...] = ()
        self._room: dict[np.dtype, np.ndarray] = {}
        self._classes: dict[Axes, np.ndarray] = {}
        self._middles: dict[Axes, tuple[np.ndarray, np.ndarray]] = {}

    def classes(self, axes: Axes) -> np.ndarray:
        """Where the classes of the places of a tap are written, (frames * places,) int64."""
        return self._classes.setdefault(axes, np.empty(self.frames * count(axes), np.int64))

    def fill(self, score_map: np.ndarray, infinite: np.ndarray) -> bool:
        """Write the classes of all places, and 1 to `infinite` (frames,) where scores are not: whether any are not.

        score_map: (frames, classes, height, width) floats. Raises ValueError for another number of frames, and for
        other classes where places are told apart.
        """
        if score_map.ndim != 4 or len(score_map) != self.frames:
            expected = f"({self.frames}, classes, height, width)"
            raise ValueError(f"expected a map of class scores {expected}, got {score_map.shape}")
        if self.covered is not None and score_map.shape[1] != len(self.covered):
            raise ValueError(f"expected a map of the scores of {len(self.covered)} classes, got {score_map.shape[1]}")
        if self._sizes != score_map.shape[1:]:
            self._sizes = score_map.shape[1:]
            self._middles = {axes: middles(axes, score_map.shape[2:]) for axes in self._classes}
        scores = self._as_kernels_take(score_map)
        for axes, classes in self._classes.items():
            kernels.classes_of_places(scores, *self._middles[axes], classes)
        if (
            all_finite(scores)
            if scores.dtype == np.float32
            else np.isfinite(scores, self._room_for(scores, bool)).all()
        ):
            return False
        infinite |= ~finite_rows(scores, self.frames)
        return True

    def _as_kernels_take(self, score_map: np.ndarray) -> np.ndarray:
        """The map itself where it is one of float32 or float64 without gaps, else a copy in room that is kept."""
        dtype = score_map.dtype if score_map.dtype in (np.float32, np.float64) else np.dtype(np.float32)
        if score_map.dtype == dtype and score_map.flags.c_contiguous:
            return score_map
        copy = self._room_for(score_map, dtype)
        np.copyto(copy, score_map)
        return copy

    def _room_for(self, values: np.ndarray, dtype: Any) -> np.ndarray:
        """An array of that shape, the same one every time."""
        room = self._room.get(np.dtype(dtype))
        if room is None or room.shape != values.shape:
            room = self._room[np.dtype(dtype)] = np.empty(values.shape, dtype)
        return room


class TogetherComparer:
    """Columns of one criterion that are compared in one call.

    indices: of each column's tap among the activations. classes: (n,) int64, deviations: (n, columns) float32, read and
    written where they are.
    """

    def __init__(
        self, joined: Joined, columns: Sequence[int], indices: Sequence[int], classes: np.ndarray,
        deviations: np.ndarray,
    ) -> None:  # fmt: skip
        self._joined, self._columns = joined, columns
        self._indices = [indices[i] for i in columns]
        self._classes, self._deviations = classes, deviations
        several = (len(classes), joined.neurons) if len(columns) > 1 else (0, 0)
        self._values = np.empty(several, np.float32)
        self._compare = self._bound(self._values)

    def _bound(self, values: np.ndarray, starts: Sequence[int] | None = None) -> Step:
        return self._joined.bound(values, self._classes, self._deviations, self._columns, starts)

    def steps(self, activations: Activations) -> list[Step]:
        """What `compare` does, where the activations stay where they are: read there if they lie in one array."""
        rows = [activations[i] for i in self._indices]
        whole, starts = _within_one(rows)
        if whole is not None:
            return [self._bound(whole, starts)]
        if len(rows) == 1:
            return [self._bound(rows[0])]
        return [partial(np.concatenate, rows, 1, self._values), self._compare]

    def compare(self, activations: Activations) -> None:
        """Write the deviations."""
        rows = [activations[i] for i in self._indices]
        if len(rows) == 1:
            self._bound(np.ascontiguousarray(rows[0]))()
        else:
            np.concatenate(rows, 1, self._values)
            self._compare()


def _within_one(rows: Sequence[np.ndarray]) -> tuple[np.ndarray | None, list[int]]:
    """The array (1, any) float32 of which all the rows are pieces, if there is one, and where each begins in it."""
    whole: Any = rows[0] if rows[0].base is None else rows[0].base
    if len(rows[0]) != 1 or not isinstance(whole, np.ndarray):
        return None, []
    if whole.dtype != np.float32 or not whole.flags.c_contiguous:
        return None, []
    if any(row is not whole and row.base is not whole for row in rows):
        return None, []
    return whole.reshape(1, -1), [(row.ctypes.data - whole.ctypes.data) // whole.itemsize for row in rows]


class ColumnComparer:
    """A column that is compared by itself; of several samples a frame its deviation is that of the worst.

    shape: in which the samples of a frame lie, `sample_shape`; None for one a frame. of_places: (n * samples,) float32,
    the deviations written last. uncovered: (n,) int64, where the class of a place that is not covered is written.
    grid: of a logic of places, to which the deviations of its columns go; no place makes their frame infinite there.
    """

    def __init__(
        self, profile: Profile, column: int, index: int, classes: np.ndarray, deviations: np.ndarray,
        score_map: ScoreMap, uncovered: np.ndarray, grid: Grid | None = None,
    ) -> None:  # fmt: skip
        own, signature = profile.columns[column], profile.signatures[column]
        tap, n = profile.facts.taps[own.tap], len(classes)
        self.column, self._index = column, index
        self.shape = sample_shape(tap)
        rows_a_frame = samples_of(tap) or 0
        rows = n * rows_a_frame
        codes = gives_codes(tap)
        self._floats = np.empty((rows, tap.size), np.float32) if codes and not own.criterion.takes_codes else None
        as_codes = codes and own.criterion.takes_codes
        self._compare = own.criterion.comparer(signature, rows, as_codes, rows_a_frame)
        self._in_place = rows == 1 and self.shape is None
        self.of_places = deviations[0, column : column + 1] if self._in_place else np.empty(rows, np.float32)
        self._deviations, self._of_frames, self._uncovered = deviations, classes, uncovered
        self._covered = score_map.covered if told_apart(tap) else None
        self._classes = classes
        if self.shape is not None:
            axes = None if self._covered is None else place_axes(tap)
            self._classes = np.empty(rows, np.int64) if axes is None else score_map.classes(axes)
        self._take: Step | None = None
        if grid is not None and self.shape is not None and column in grid.columns:
            self._take = grid.taker(profile, column, self.shape, self.of_places, self._classes, deviations)

    def steps(self, activations: Activations) -> list[Step]:
        """What `compare` does, where the activations stay where they are."""
        if not self._in_place:
            return [partial(self.compare, activations)]
        values = activations[self._index]
        if self._floats is None:
            return [partial(self._compare, values, self._classes, self.of_places)]
        copy = partial(np.copyto, self._floats, values)
        return [copy, partial(self._compare, self._floats, self._classes, self.of_places)]

    def compare(self, activations: Activations) -> None:
        """Write the deviation."""
        values = np.ascontiguousarray(activations[self._index])
        if self._floats is not None:
            np.copyto(self._floats, values)
            values = self._floats
        if self.shape is not None and self._covered is None:
            self._classes.reshape(len(self._of_frames), -1)[:] = self._of_frames[:, None]
        self._compare(values, self._classes, self.of_places)
        if self.shape is None:
            if not self._in_place:
                self._deviations[:, self.column] = self.of_places
            return
        if self._take is not None:
            self._take()
            return
        if self._covered is not None:
            kernels.alarm_uncovered_places(self._classes, self._covered, self.of_places, self._uncovered)
        kernels.highest_of_places(self.of_places, self.column, self._deviations)

    def worst(self, activations: Activations) -> tuple[np.ndarray, int] | None:
        """The values and the class of the sample of the first frame that deviates most."""
        row = int(self.of_places[: len(self.of_places) // len(self._of_frames)].argmax())
        return activations[self._index][row], int(self._classes[row])

    def maps(self) -> np.ndarray:
        """The deviations of the samples of the last batch: (n, *shape)."""
        return self.of_places.reshape(len(self._of_frames), *(self.shape or ())).copy()
