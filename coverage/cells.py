"""All trusted samples of a class in a bounded number of cells, each with the ranges of its samples.

A sample's place is a few sums of its neurons, `grids.project`. While there is room, every sample is a cell of its own.
Else the cells are those of a grid over places, the finest one with few enough of them. The next coarser grid is twice
as wide along one of the sums, at multiples of that width, so that each cell lies within one of it. So cells depend on
the samples and not on their order, and merging is exact. No sample is ever left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .criterion import Arrays
from .kept import EMPTY, hash_of, held_per_class
from .kernels.grids import project

_DIRECTIONS = 8
_WIDEST = 200
"""The width of the coarsest grid as a power of two: a sum of float32 is below. The finest is as far below 1."""
POINTS = -_DIRECTIONS * _WIDEST - 1
"""The level at which every sample is alone; those of grids are above."""


class Cells(NamedTuple):
    """Cells of a class in the order of their hashes.

    level: `POINTS`, or that of the grid. hashes (n,) uint64: of the sample, or of the place.
    places (n, directions) float64: the sums, or whole numbers of the grid. low, high (n, neurons) float32.
    times (n,) int64: how many samples.
    """

    level: int
    hashes: np.ndarray
    places: np.ndarray
    low: np.ndarray
    high: np.ndarray
    times: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """The middle of each, (n, neurons) float64."""
        middles: np.ndarray = (self.low.astype(np.float64) + self.high) / 2
        return middles


def specify_cells(neurons: int, classes: int, capacity: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
    """The arrays that hold up to `capacity` cells of each class, at least 2, for `Criterion._specification`.

    With no more directions than this, the coarsest grid, which has two cells a direction, fits in any case.
    """
    directions = min(_DIRECTIONS, capacity.bit_length() - 1)
    return {
        "level": ((classes,), np.int64, POINTS),
        "hashes": ((classes, capacity), np.uint64, EMPTY),
        "places": ((classes, capacity, directions), np.float64, 0),
        "low": ((classes, capacity, neurons), np.float32, 0),
        "high": ((classes, capacity, neurons), np.float32, 0),
        "times": ((classes, capacity), np.int64, 0),
    }


def levels(directions: int) -> tuple[int, int]:
    """The levels of the finest and of the coarsest grid."""
    return -_WIDEST * directions, _WIDEST * directions


def add_samples(arrays: Arrays, values: np.ndarray, labels: np.ndarray) -> None:
    """Put samples into cells of their classes. values: (n, neurons) float32, finite. labels: (n,) int64."""
    values = values + np.float32(0)  # -0 becomes 0: which of them the lower one is would depend on the order
    places = places_of(values, arrays["places"].shape[2])
    for c in np.unique(labels):
        rows = labels == c
        some, ones = values[rows], np.ones(np.count_nonzero(rows), np.int64)
        hashes = np.array([hash_of(row) for row in some], np.uint64)
        _add(arrays, c, Cells(POINTS, hashes, places[rows], some, some, ones))


def merge_cells(into: Arrays, other: Arrays) -> None:
    """Leave in `into` the cells of the samples of both."""
    for c in np.flatnonzero(held_per_class(other)):
        _add(into, c, cells_of(other, c))


def cells_of(arrays: Arrays, c: int | np.integer) -> Cells:
    """The cells of a class. They share memory with the arrays."""
    held = int((arrays["hashes"][c] != EMPTY).sum())
    return Cells(int(arrays["level"][c]), *(arrays[name][c, :held] for name in Cells._fields[1:]))


def places_of(values: np.ndarray, directions: int) -> np.ndarray:
    """The sums of each row of (n, neurons) float32, (n, directions) float64."""
    places = np.empty((len(values), directions))
    project(np.ascontiguousarray(values), places)
    return places


def _add(arrays: Arrays, c: int | np.integer, new: Cells) -> None:
    old, capacity = cells_of(arrays, c), arrays["hashes"].shape[1]
    level = max(old.level, new.level)
    pair = [_at(one, level) for one in (old, new)]
    both = Cells(level, *(np.concatenate(parts) for parts in zip(*(one[1:] for one in pair), strict=True)))
    cells = _grouped(_at(both, _finest(both, capacity)))
    arrays["level"][c] = cells.level
    for name, array in zip(Cells._fields[1:], cells[1:], strict=True):
        arrays[name][c, : len(array)] = array
        if name != "hashes":
            arrays[name][c, len(array) :] = 0
    arrays["hashes"][c, len(cells.hashes) :] = EMPTY


def _finest(cells: Cells, capacity: int) -> int:
    """The lowest level, from that of the cells on, at which they are no more than `capacity`."""
    if len(np.unique(cells.hashes)) <= capacity:
        return cells.level
    finest, enough = levels(cells.places.shape[1])
    too_fine = max(cells.level, finest - 1)
    while enough - too_fine > 1:
        middle = (too_fine + enough) // 2
        fits = len(np.unique(_coarser(cells, middle), axis=0)) <= capacity
        too_fine, enough = (too_fine, middle) if fits else (middle, enough)
    return enough


def _coarser(cells: Cells, level: int) -> np.ndarray:
    """The places in the grid of another level, whole numbers."""
    directions = cells.places.shape[1]
    now = 0 if cells.level == POINTS else _widths(cells.level, directions)
    places: np.ndarray = np.floor(np.ldexp(cells.places, now - _widths(level, directions)))
    return places


def _widths(level: int, directions: int) -> np.ndarray:
    """The power of two that is the width of a grid along each direction; of the next level, one of them is 1 more."""
    return (level + np.arange(directions)) // directions


def _at(cells: Cells, level: int) -> Cells:
    """The same cells with the places and hashes of a coarser level, so that some are equal."""
    if level == cells.level:
        return cells
    places = _coarser(cells, level)
    hashes = np.array([hash_of(row) for row in places], np.uint64)
    return cells._replace(level=level, places=places, hashes=hashes)


def _grouped(cells: Cells) -> Cells:
    """Equal cells as one, in the order of their hashes."""
    order = np.argsort(cells.hashes, kind="stable")
    hashes, starts = np.unique(cells.hashes[order], return_index=True)
    return Cells(
        cells.level,
        hashes,
        cells.places[order[starts]],
        np.minimum.reduceat(cells.low[order], starts, axis=0),
        np.maximum.reduceat(cells.high[order], starts, axis=0),
        np.add.reduceat(cells.times[order], starts),
    )
