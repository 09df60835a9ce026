"""The places of a pixel tap: how they lie in the frame, and which class the network sees at each."""

from __future__ import annotations

import numpy as np

from ...networks import Tap, probabilities

Shape = tuple[int, int]


def place_shape(tap: Tap) -> Shape | None:
    """(rows, columns) of the places of a pixel tap, (1, length) for sequences; None for other neurons.

    Raises ValueError where the tap leaves them open.
    """
    if tap.neurons != "pixel":
        return None
    sizes = tap.shape[1:] if tap.layout in ("NCHW", "NCL") else tap.shape[:-1]
    rows, columns = (1, *sizes)[-2:]
    if rows is None or columns is None:
        raise ValueError(
            f"tap {tap.id}: expected known sizes for neurons 'pixel', got {tap.shape}; fix the input shape"
        )
    return rows, columns


def middles(shape: Shape, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of a map (height, width) at the middles of the places of another resolution."""
    rows, columns = ((2 * np.arange(n) + 1) * size // (2 * n) for n, size in zip(shape, sizes, strict=True))
    return rows, columns


def nearest(maps: np.ndarray, shape: Shape) -> np.ndarray:
    """Maps (..., height, width) at the middles of the places of another resolution: (..., *shape)."""
    if maps.shape[-2:] == shape:
        return maps
    rows, columns = middles(shape, maps.shape[-2:])
    return maps[..., rows[:, None], columns]


class Places:
    """The places of one batch at the resolution of any tap.

    predictions: (batch,) int64, the class of each frame. score_map: (batch, classes, height, width), or None where the
    places of a frame are all of its class. A tap of `shape` has batch * rows * columns places; None means the frames.
    scores: the kind of the score map, as of `Network.scores`.
    """

    def __init__(self, predictions: np.ndarray, score_map: np.ndarray | None, scores: str = "logits"):
        self._predictions = predictions
        self._map, self._scores = score_map, scores
        self._classes: dict[Shape, np.ndarray] = {}

    @property
    def of_frames(self) -> bool:
        """Whether the places of a frame are all of its class."""
        return self._map is None

    def frames(self, shape: Shape | None) -> np.ndarray:
        """(places,) int64: the frame that each place lies in."""
        return np.repeat(np.arange(len(self._predictions)), _count(shape))

    def classes(self, shape: Shape | None) -> np.ndarray:
        """(places,) int64: the class of each place."""
        if shape is None:
            return self._predictions
        if shape not in self._classes:
            if self._map is None:
                self._classes[shape] = np.repeat(self._predictions, _count(shape))
            else:
                self._classes[shape] = _scores(self._map, shape).argmax(axis=1)
        return self._classes[shape]

    def trusted(self, shape: Shape, frames: np.ndarray, labels: np.ndarray | None, confidence: float) -> np.ndarray:
        """(places,) bool: in one of the `frames` (batch,) and, by labels of places, right with that softmax.

        labels: (batch, height, width) integers of any resolution; those of frames do not count here.
        """
        trusted = np.repeat(frames, _count(shape))
        if labels is not None and self._map is not None:
            trusted &= nearest(labels, shape).reshape(-1) == self.classes(shape)
            with np.errstate(invalid="ignore"):
                trusted &= probabilities(_scores(self._map, shape), self._scores).max(axis=1) >= confidence
        return trusted


def _count(shape: Shape | None) -> int:
    return 1 if shape is None else shape[0] * shape[1]


def _scores(score_map: np.ndarray, shape: Shape) -> np.ndarray:
    """(places, classes)"""
    return np.moveaxis(nearest(score_map, shape), 1, -1).reshape(-1, score_map.shape[1])
