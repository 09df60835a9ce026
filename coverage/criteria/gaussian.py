"""A Gaussian per class and neuron; the neurons vote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..kernels import ranges
from ..signature import Signature
from ..stored import refuse
from .single_range import bounds_of_codes


@dataclass(frozen=True)
class Gaussian(Criterion):
    """Hashemi et al. (RV 2021): the number of neurons more than `width` standard deviations from their class mean."""

    width: float = 2.0
    name: ClassVar[str] = "gaussian"
    takes_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.width > 0, "width above 0", self.width)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        shape = (classes, neurons)
        return {"mean": (shape, np.float64, 0), "squares": (shape, np.float64, 0)}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        for c in np.unique(labels):
            rows = values[labels == c].astype(np.float64)
            mean = rows.mean(axis=0)
            join_moments(arrays, c, counts[c], len(rows), mean, np.square(rows - mean).sum(axis=0))

    def _merge(self, into: Signature, other: Signature) -> None:
        for c in np.flatnonzero(other.counts):
            theirs = other.arrays
            join_moments(into.arrays, c, into.counts[c], other.counts[c], theirs["mean"][c], theirs["squares"][c])

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        mean, squares = arrays["mean"], arrays["squares"]
        right = np.isfinite(mean) & np.isfinite(squares) & (squares >= 0)
        refuse(~right, "a finite mean and squares from 0 on", mean, squares)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        deviation = np.sqrt(signature.arrays["squares"] / np.maximum(signature.counts, 1)[:, None])
        mean = signature.arrays["mean"]
        return tuple((mean + side * self.width * deviation).astype(np.float32) for side in (-1, 1))

    def _prepare_codes(self, signature: Signature) -> tuple[np.ndarray, ...]:
        return bounds_of_codes(*self._prepare(signature))

    def joined_kernel(self) -> Callable[..., None]:
        return ranges.range_outside_of_columns

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        ranges.range_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        kernel = ranges.range_outside_codes if values.dtype == np.uint8 else ranges.range_outside
        kernel(values, labels, *tables, out)


Count = int | np.integer

# Means and sums of squares of two lots join as in Chan, Golub and LeVeque (1979).


def join_moments(arrays: Arrays, c: Count, mine: Count, theirs: Count, mean: np.ndarray, squares: np.ndarray) -> None:
    step = mean - arrays["mean"][c]
    arrays["mean"][c] += step * (theirs / (mine + theirs))
    arrays["squares"][c] += squares + np.square(step) * (mine * theirs / (mine + theirs))
