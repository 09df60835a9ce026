"""The connected parts of a map that deviate, in pixels of the picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernels import places as kernels

Box = tuple[float, float, float, float]


class Region(NamedTuple):
    """A connected part of a map above its level.

    box: (left, top, right, bottom) in pixels of the network's input. area: in pixels. places: how many. peak: the
    highest value of the map in it. at: (x, y) of the middle of that place, in pixels. class_index: the class that the
    network sees most in it, -1 where places have none. covered: the share of it that detections cover, 0 without any.
    """

    box: Box
    area: float
    places: int
    peak: float
    at: tuple[float, float]
    class_index: int = -1
    covered: float = 0.0

    def __str__(self) -> str:
        left, top, right, bottom = (round(side) for side in self.box)
        return f"{right - left} x {bottom - top} pixels at ({left}, {top})"


def regions_of(
    values: np.ndarray, level: float, extent: tuple[int, int], classes: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
) -> tuple[Region, ...]:  # fmt: skip
    """The regions of a map (height, width) float32 above a level, the largest first, of equals the highest.

    extent: (height, width) of the input in pixels. classes: (height, width) integers. boxes: (k, 4) of detections, in
    pixels; a place whose middle lies in one of them is covered.
    """
    height, width = values.shape
    labels = np.empty(values.size, np.int32)
    kernels.label(np.ascontiguousarray(values, np.float32), level, labels)
    tall, wide = extent[0] / height, extent[1] / width
    found = []
    for root in np.unique(labels[labels >= 0]).tolist():
        inside = np.flatnonzero(labels == root)
        y, x = np.divmod(inside, width)
        peak = int(values.reshape(-1)[inside].argmax())
        box = x.min() * wide, y.min() * tall, (x.max() + 1) * wide, (y.max() + 1) * tall
        middles = (x + 0.5) * wide, (y + 0.5) * tall
        found.append(
            Region(
                tuple(map(float, box)),  # type: ignore[arg-type]
                float(len(inside) * tall * wide),
                len(inside),
                float(values[y[peak], x[peak]]),
                (float(middles[0][peak]), float(middles[1][peak])),
                -1 if classes is None else int(np.bincount(classes[y, x]).argmax()),
                0.0 if boxes is None or not len(boxes) else _covered(*middles, boxes),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.places, -one.peak)))


def _covered(x: np.ndarray, y: np.ndarray, boxes: np.ndarray) -> float:
    """The share of points in one of the boxes."""
    left, top, right, bottom = (side[:, None] for side in np.asarray(boxes).T)
    return float(((left <= x) & (x < right) & (top <= y) & (y < bottom)).any(axis=0).mean())
