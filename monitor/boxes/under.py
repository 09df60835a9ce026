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
        left, top, right, bottom = boxes.astype(np.float64).T
        down, first_row, end_row = _shares(top, bottom, self._edges[0])
        across, first_column, end_column = _shares(left, right, self._edges[1])
        for out, height, width, above, below, before, behind in zip(
            found, down, across, first_row, end_row, first_column, end_column, strict=True
        ):
            if above < below and before < behind:
                there = features[above:below, before:behind]
                weights = np.outer(height[above:below], width[before:behind]).astype(np.float32)
                np.matmul(weights.reshape(-1), there.reshape(weights.size, -1), out=out)
        return found


def _shares(begin: np.ndarray, end: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """How much of each interval (k,) lies in each part between edges, (k, parts), 1 in all.

    And the first part that it touches, and the one behind the last: the same number where it lies outside of all.
    """
    low, high = edges[0], edges[-1]
    inside = (begin <= end) & (begin < high) & (end > low)  # nor where a bound is NaN
    begin, end = np.where(inside, np.maximum(begin, low), low), np.where(inside, np.minimum(end, high), high)
    short = end - begin < _SLIVER
    begin = np.where(short, np.maximum(low, end - _SLIVER), begin)
    end = np.where(short, begin + _SLIVER, end)
    shares = np.maximum(np.minimum(end[:, None], edges[1:]) - np.maximum(begin[:, None], edges[:-1]), 0)
    shares /= shares.sum(axis=1, keepdims=True)
    touched = shares > 0
    first = touched.argmax(axis=1)
    behind = np.where(inside, len(edges) - 1 - touched[:, ::-1].argmax(axis=1), first)
    return shares, first.tolist(), behind.tolist()


def _known(sizes: tuple[int | None, ...] | None) -> list[int]:
    return [size for size in sizes or () if size is not None]
