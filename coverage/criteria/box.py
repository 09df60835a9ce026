"""Boxes around the clusters of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..cells import Cells, add_samples, cells_of, merge_cells, specify_cells
from ..clusters import clusters_of
from ..criterion import Arrays, Criterion, require
from ..kernels.ranges import box_distance, box_parts
from ..signature import Signature
from ..stored import check_cells
from .single_range import inverse_width


@dataclass(frozen=True)
class Box(Criterion):
    """Henzinger, Lukina and Schilling (ECAI 2020): the distance to the nearest of several boxes of the class.

    The samples of a class fall into clusters by k-means, and around each of them lies a box. The monitor of the paper
    warns where the deviation is above 0. The distance is ours: the sum over neurons of how far each lies outside of
    the box, in widths of its range in the class, as in `SingleRange(magnitude=True)`, which has one box.

    improvement: τ of the paper; one cluster more is made while it lowers the sum of squares at least by this share.
    boxes: how many are made at most (ours; 1 to 64).
    capacity: the paper clusters all samples. A class here keeps as many samples; of more it keeps as many groups of
    similar samples, each with its ranges, and clusters their middles. A group lies within one box as a whole, so that
    no trusted sample lies outside. The groups do not depend on the order of samples, and merging is exact.
    """

    improvement: float = 0.07
    boxes: int = 8
    capacity: int = 128
    name: ClassVar[str] = "box"
    merges_exactly: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(0 < self.improvement < 1, "improvement in (0, 1)", self.improvement)
        require(1 <= self.boxes <= 64, "1 to 64 boxes", self.boxes)
        require(self.capacity >= 2, "capacity of at least 2", self.capacity)

    def bounds(self, signature: Signature, c: int) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper bounds of the boxes of a class, (boxes, neurons) float32 each; none of it unseen.

        Raises ValueError for a signature of another criterion.
        """
        self._check_owner(signature)
        return self._boxes(cells_of(signature.arrays, c))

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return specify_cells(neurons, classes, self.capacity)

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        add_samples(arrays, values, labels)

    def _merge(self, into: Signature, other: Signature) -> None:
        merge_cells(into.arrays, other.arrays)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_cells(arrays, counts)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(low, high, inverse width) as `box_distance` takes them. A class of fewer boxes has its first one again."""
        bounds = [self._boxes(cells_of(signature.arrays, c)) for c in range(signature.classes)]
        most = max(1, *(len(low) for low, _ in bounds))
        low, high = (np.zeros((signature.classes, most, signature.neurons), np.float32) for _ in range(2))
        for c, (lowest, highest) in enumerate(bounds):
            if len(lowest):
                low[c], high[c] = lowest[0], highest[0]
                low[c, : len(lowest)], high[c, : len(highest)] = lowest, highest
        return low, high, inverse_width(low.min(axis=1), high.max(axis=1))

    def _boxes(self, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        if not len(cells.times):
            return cells.low, cells.high
        labels = clusters_of(cells.centres, cells.times.astype(np.float64), self.improvement, self.boxes)
        within = [labels == k for k in range(labels.max() + 1)]
        low = np.stack([cells.low[some].min(axis=0) for some in within])
        return low, np.stack([cells.high[some].max(axis=0) for some in within])

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        box_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        box_distance(values, labels, *tables, out)
