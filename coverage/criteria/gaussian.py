"""Gaussian summaries: votes of single neurons, and the distance of the whole layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import kernels
from ..criterion import Arrays, Criterion, require
from ..signature import Signature
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
            _join(arrays, c, counts[c], len(rows), mean, np.square(rows - mean).sum(axis=0))

    def _merge(self, into: Signature, other: Signature) -> None:
        for c in np.flatnonzero(other.counts):
            theirs = other.arrays
            _join(into.arrays, c, into.counts[c], other.counts[c], theirs["mean"][c], theirs["squares"][c])

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        deviation = np.sqrt(signature.arrays["squares"] / np.maximum(signature.counts, 1)[:, None])
        mean = signature.arrays["mean"]
        return tuple((mean + side * self.width * deviation).astype(np.float32) for side in (-1, 1))

    def _prepare_codes(self, signature: Signature) -> tuple[np.ndarray, ...]:
        return bounds_of_codes(*self._prepare(signature))

    def joined_kernel(self) -> Callable[..., None]:
        return kernels.range_outside_of_columns

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        kernels.range_parts(values, tables[0][label], tables[1][label], out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        kernel = kernels.range_outside_codes if values.dtype == np.uint8 else kernels.range_outside
        kernel(values, labels, *tables, out)


@dataclass(frozen=True)
class Mahalanobis(Criterion):
    """Lee et al. (NeurIPS 2018): distance to the mean of the predicted class under the covariance all classes share.

    The covariance is shrunk towards a multiple of the identity by `shrinkage`, so that it can be inverted. It takes
    neurons squared numbers: meant for dense layers and channels, and refused above `LARGEST` neurons.
    """

    shrinkage: float = 1e-3
    name: ClassVar[str] = "mahalanobis"
    LARGEST: ClassVar[int] = 4096

    def __post_init__(self) -> None:
        require(0 < self.shrinkage <= 1, "shrinkage in (0, 1]", self.shrinkage)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        require(neurons <= self.LARGEST, f"at most {self.LARGEST} neurons for a full covariance", neurons)
        return {"mean": ((classes, neurons), np.float64, 0), "squares": ((neurons, neurons), np.float64, 0)}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        for c in np.unique(labels):
            rows = values[labels == c].astype(np.float64)
            mean = rows.mean(axis=0)
            rows -= mean
            _join_outer(arrays, c, counts[c], len(rows), mean)
            arrays["squares"] += rows.T @ rows

    def _merge(self, into: Signature, other: Signature) -> None:
        into.arrays["squares"] += other.arrays["squares"]
        for c in np.flatnonzero(other.counts):
            _join_outer(into.arrays, c, into.counts[c], other.counts[c], other.arrays["mean"][c])

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        covariance = signature.arrays["squares"] / max(signature.counts.sum(), 1)
        size = max(np.trace(covariance) / signature.neurons, np.finfo(np.float32).tiny)
        covariance = (1 - self.shrinkage) * covariance + self.shrinkage * size * np.eye(signature.neurons)
        whitening = np.tril(np.linalg.inv(np.linalg.cholesky(covariance)))
        return signature.arrays["mean"].astype(np.float32), np.ascontiguousarray(whitening, np.float32)

    def joined_kernel(self) -> Callable[..., None]:
        return kernels.whitened_distance_of_columns

    def joined_tables(self, tables: Any) -> Sequence[np.ndarray]:
        mean, whitening = tables
        return mean, whitening.reshape(-1)

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        mean, whitening = tables
        kernels.whitened_parts(values, mean[label], whitening, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        kernels.whitened_distance(values, labels, *tables, out)


Count = int | np.integer

# Means and sums of squares of two lots join as in Chan, Golub and LeVeque (1979).


def _join(arrays: Arrays, c: Count, mine: Count, theirs: Count, mean: np.ndarray, squares: np.ndarray) -> None:
    step = mean - arrays["mean"][c]
    arrays["mean"][c] += step * (theirs / (mine + theirs))
    arrays["squares"][c] += squares + np.square(step) * (mine * theirs / (mine + theirs))


def _join_outer(arrays: Arrays, c: Count, mine: Count, theirs: Count, mean: np.ndarray) -> None:
    step = mean - arrays["mean"][c]
    arrays["mean"][c] += step * (theirs / (mine + theirs))
    if mine:
        arrays["squares"] += np.outer(step, step * (mine * theirs / (mine + theirs)))
