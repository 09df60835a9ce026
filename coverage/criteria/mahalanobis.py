"""The distance of a whole layer from the mean of its class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..blocks import Compare, in_blocks, scratch, times_triangular, triangular
from ..criterion import Arrays, Comparer, Criterion, require
from ..kernels.distances.in_blocks import from_means, norms
from ..kernels.distances.whitened import whitened_distance, whitened_distance_of_columns, whitened_parts
from ..signature import Signature
from ..stored import refuse
from .gaussian import Count

_ROUNDING = 1e-6  # of the standard deviations, by which a covariance may miss its mirror image


@dataclass(frozen=True)
class Mahalanobis(Criterion):
    """Lee et al. (NeurIPS 2018): distance to the mean of the predicted class under the covariance all classes share.

    `shrinkage` moves the covariance towards a multiple of the identity, so that it can be inverted. The covariance
    takes neurons squared numbers: it suits dense layers and channels, and more than `LARGEST` neurons raise.
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
            join_outer(arrays["mean"][c], arrays["squares"], counts[c], len(rows), mean)
            arrays["squares"] += rows.T @ rows

    def _merge(self, into: Signature, other: Signature) -> None:
        into.arrays["squares"] += other.arrays["squares"]
        seen = np.flatnonzero(other.counts)
        mine, theirs = into.counts[seen, None], other.counts[seen, None]
        mean = into.arrays["mean"][seen]
        step = other.arrays["mean"][seen] - mean
        into.arrays["mean"][seen] = mean + step * (theirs / (mine + theirs))
        step *= np.sqrt(mine * (theirs / (mine + theirs)))  # 0 where there was nothing before
        into.arrays["squares"] += step.T @ step  # of all classes at once: many times as fast as one by one

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        refuse(~np.isfinite(arrays["mean"]), "a finite mean", arrays["mean"])
        check_squares(arrays["squares"])

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        whitening = self._whitening(signature)
        return signature.arrays["mean"].astype(np.float32), whitening.astype(np.float32).T.reshape(-1)

    def _with_scratch(self, tables: Any, n: int) -> tuple[np.ndarray, ...]:
        return *tables, np.empty(4 * tables[0].shape[1], np.float32)

    def _many_rows(self, tables: Any, n: int, rows_a_frame: int) -> Comparer:
        mean, whitening = tables
        neurons = mean.shape[1]
        strips = triangular(whitening.reshape(neurons, neurons))

        def bound(rows: int) -> Compare:
            steps, whitened = scratch(rows, neurons), scratch(rows, neurons)
            order = np.arange(rows)
            times_triangular(steps, strips, whitened)  # BLAS takes its memory at the first product

            def compare(values: np.ndarray, labels: np.ndarray, first: int, out: np.ndarray) -> None:
                from_means(values, labels, mean, first, order, steps)
                times_triangular(steps, strips, whitened)
                norms(whitened, first, order, out)

            return compare

        return in_blocks(n, rows_a_frame, neurons, bound)

    def _whitening(self, signature: Signature) -> np.ndarray:
        """The lower triangular matrix that whitens what is within classes, (neurons, neurons) float64."""
        return whitening_of(signature.arrays["squares"] / max(signature.counts.sum(), 1), self.shrinkage)

    def keeps(self) -> Any:
        return tuple(self._specification(1, 2))  # shrinkage is of the tables, as is what a subclass makes of them

    def joined_kernel(self) -> Callable[..., None]:
        return whitened_distance_of_columns

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        whitened_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        whitened_distance(values, labels, *tables, out)


def check_squares(squares: np.ndarray) -> None:
    """Raise ValueError unless sums of products (neurons, neurons) can be those of a covariance."""
    require(bool(np.isfinite(squares).all()), "finite squares", "others")
    off = np.abs(squares - squares.T) > _ROUNDING * np.sqrt(np.outer(*[np.abs(squares.diagonal())] * 2))
    require(not off.any() and bool((squares.diagonal() >= 0).all()), "a covariance", "one that is none")


def whitening_of(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    """The lower triangular matrix that whitens a covariance shrunk towards a multiple of the identity, float64."""
    neurons = len(covariance)
    size = max(np.trace(covariance) / neurons, np.finfo(np.float32).tiny)
    shrunk = (1 - shrinkage) * covariance + shrinkage * size * np.eye(neurons)
    whitening: np.ndarray = np.tril(np.linalg.inv(np.linalg.cholesky(shrunk)))
    return whitening


def join_outer(mean: np.ndarray, squares: np.ndarray, mine: Count, theirs: Count, other: np.ndarray) -> None:
    """Move the mean of so many of mine towards another's, and add to the squares what lies between them, in place."""
    step = other - mean
    mean += step * (theirs / (mine + theirs))
    if mine:
        squares += np.outer(step, step * (mine * theirs / (mine + theirs)))
