"""The features under boxes: means over the places of a map, each weighed by the area that it shares with the box."""

from __future__ import annotations

import numpy as np

from ...networks import Tap

_SLIVER = 1e-3
"""The least side of a box in pixels, by which one without area takes the place that it lies in."""


class Under:
    """Means over the places of a tap that lie under boxes.

    A place is its part of the picture: the map is stretched over the whole of it, as `Places` says. A place counts by
    the area that it shares with the box, so a box that is smaller than a place has the features of that place, or of
    those that it touches. tap: of places, of one row a frame. extent: (height, width) of the picture in pixels.
    """

    def __init__(self, tap: Tap, extent: tuple[int, int]) -> None:
        self._edges = [
            np.minimum(np.arange(count + 1) * (tap.window or 1), size) * (side / size)
            for count, size, side in zip(_known(tap.place_sizes), _known(tap.map_sizes), extent, strict=True)
        ]
        self.shape = tuple(len(edges) - 1 for edges in self._edges)
        self._extent = extent

    def means(self, places: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """(k, neurons) float32: the mean under each box, NaN for one that shares nothing with the picture.

        places: (height * width, neurons) float32, of one frame. boxes: (k, 4) in pixels.
        """
        rows, columns = self.shape
        found = np.full((len(boxes), places.shape[1]), np.nan, np.float32)
        features = places.reshape(rows, columns, -1)
        for out, (left, top, right, bottom) in zip(found, boxes.astype(np.float64), strict=True):
            down, down_from = _shares(top, bottom, self._edges[0])
            across, across_from = _shares(left, right, self._edges[1])
            if len(down) and len(across):
                there = features[down_from : down_from + len(down), across_from : across_from + len(across)]
                weights = np.outer(down, across).reshape(-1).astype(np.float32)
                np.matmul(weights, there.reshape(len(weights), -1), out=out)
        return found


def _shares(begin: float, end: float, edges: np.ndarray) -> tuple[np.ndarray, int]:
    """How much of an interval lies in each part between edges that it touches, 1 in all, and the first of these.

    None where it lies outside of all.
    """
    low, high = edges[0], edges[-1]
    if not (begin <= end and begin < high and end > low):  # nor where a bound is NaN
        return edges[:0], 0
    begin, end = max(begin, low), min(end, high)
    if end - begin < _SLIVER:
        begin = max(low, end - _SLIVER)
        end = begin + _SLIVER
    first = max(int(np.searchsorted(edges, begin, side="right")) - 1, 0)
    last = min(int(np.searchsorted(edges, end, side="left")), len(edges) - 1)
    within = np.clip(edges[first : last + 1], begin, end)
    shares = np.diff(within)
    return shares / shares.sum(), first


def _known(sizes: tuple[int | None, ...] | None) -> list[int]:
    return [size for size in sizes or () if size is not None]
