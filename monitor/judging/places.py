"""The samples of a frame at a tap: rows and places, how they lie in it, and which class the network sees at each."""

from __future__ import annotations

import math

import numpy as np

from ...networks import Observation, Tap, probabilities

Shape = tuple[int, ...]
Axes = tuple[int | tuple[int, int], ...]
"""How places lie along each axis of a map: how many, evenly; or the size of the map and that of its windows."""


def place_shape(tap: Tap) -> Shape | None:
    """The sizes of the map that the places of a tap make, (1, length) for sequences; None where neurons are no places.

    Raises ValueError where the tap leaves them open.
    """
    if tap.place_sizes is None:
        return None
    sizes = tuple(size for size in tap.place_sizes if size is not None)
    if len(sizes) < len(tap.place_sizes):
        raise ValueError(
            f"tap {tap.id}: expected known sizes for neurons {tap.neurons!r}, got {tap.shape}; fix the input shape"
        )
    return (1, *sizes) if len(sizes) == 1 else sizes


def place_axes(tap: Tap) -> Axes | None:
    """How the places of a tap lie along the axes of `place_shape`; None where neurons are no places."""
    shape, window = place_shape(tap), tap.window or 1
    if shape is None or window == 1:
        return shape
    windows = tuple((size or 0, window) for size in tap.map_sizes)
    return (1, *windows) if len(windows) == 1 else windows


def sample_shape(tap: Tap) -> Shape | None:
    """How the samples of a frame lie at a tap: (rows, *places), without what is not there; None for one a frame.

    Where the rows vary it is the shape of one of them, () for one sample a row.
    """
    places = place_shape(tap) or ()
    if tap.rows is None:
        return places
    return (places or None) if tap.rows == 1 else (tap.rows, *places)


def samples_of(tap: Tap) -> int | None:
    """How many samples of a tap each frame has, rows times places; None where it varies."""
    return None if tap.rows is None else math.prod(sample_shape(tap) or ())


def rows_of_frames(seen: Observation, index: int, tap: Tap, n: int) -> np.ndarray:
    """(n,) int64: the rows among the activations of a tap that are each frame's, one frame behind the other.

    Raises ValueError where the network tells none, and where they are not as many as there are.
    """
    found = None if seen.rows is None else seen.rows.get(index)
    if found is None:
        raise ValueError(f"tap {tap.id}: expected the rows of each frame, as they vary, got none")
    rows = np.ascontiguousarray(found, np.int64)
    there = len(seen.activations[index])
    if rows.shape != (n,) or rows.min(initial=0) < 0 or rows.sum() != there:
        raise ValueError(f"tap {tap.id}: expected the {there} rows of {n} frames, got {rows.tolist()}")
    return rows


def middles(axes: Axes, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of a map (height, width) at the middles of the places of another resolution."""
    rows, columns = (_middles(axis, size) for axis, size in zip(axes, sizes, strict=True))
    return rows, columns


def _middles(axis: int | tuple[int, int], size: int) -> np.ndarray:
    own, window = (axis, 1) if isinstance(axis, int) else axis
    begins = np.arange(0, own, window)
    return (begins + np.minimum(begins + window, own)) * size // (2 * own)


def places_under(axes: Axes, below: Axes) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the places of `below` that hold the middles of the places of another resolution."""
    sizes = [(axis, 1) if isinstance(axis, int) else axis for axis in below]
    rows, columns = middles(axes, tuple(size for size, _ in sizes))
    return rows // sizes[0][1], columns // sizes[1][1]


def count(axes: Axes) -> int:
    """How many places lie so."""
    return math.prod(axis if isinstance(axis, int) else -(-axis[0] // axis[1]) for axis in axes)


def nearest(maps: np.ndarray, axes: Axes) -> np.ndarray:
    """Maps (..., height, width) at the middles of the places of another resolution: (..., rows, columns)."""
    if maps.shape[-2:] == axes:
        return maps
    rows, columns = middles(axes, maps.shape[-2:])
    return maps[..., rows[:, None], columns]


class PlaceClasses:
    """The places of one batch at the resolution of any tap, whose classes a map of scores tells apart.

    score_map: (batch, classes, height, width). scores: their kind, as of `Network.scores`. A tap has as many places for
    each frame as its `axes` count.
    """

    def __init__(self, score_map: np.ndarray, scores: str = "logits"):
        self._map, self._scores = score_map, scores
        self._classes: dict[Axes, np.ndarray] = {}

    def frames(self, axes: Axes) -> np.ndarray:
        """(places,) int64: the frame that each place lies in."""
        return np.repeat(np.arange(len(self._map)), count(axes))

    def classes(self, axes: Axes) -> np.ndarray:
        """(places,) int64: the class of each place."""
        if axes not in self._classes:
            self._classes[axes] = _scores(self._map, axes).argmax(axis=1)
        return self._classes[axes]

    def trusted(self, axes: Axes, frames: np.ndarray, labels: np.ndarray | None, confidence: float) -> np.ndarray:
        """(places,) bool: in one of the `frames` (batch,) and, by labels of places, right with that softmax.

        labels: (batch, height, width) integers of any resolution.
        """
        trusted = np.repeat(frames, count(axes))
        if labels is not None:
            trusted &= nearest(labels, axes).reshape(-1) == self.classes(axes)
            with np.errstate(invalid="ignore"):
                trusted &= probabilities(_scores(self._map, axes), self._scores).max(axis=1) >= confidence
        return trusted


def _scores(score_map: np.ndarray, axes: Axes) -> np.ndarray:
    """(places, classes)"""
    return np.moveaxis(nearest(score_map, axes), 1, -1).reshape(-1, score_map.shape[1])
