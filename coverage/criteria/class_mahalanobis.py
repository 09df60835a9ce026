"""The distance of a whole layer from the mean of its class, in the spread of that class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..blocks import Compare, in_blocks, scratch, times_triangular, triangular
from ..criterion import Arrays, Comparer, Criterion, require
from ..kernels.distances.in_blocks import from_means, norms, order_of_classes
from ..kernels.distances.whitened import whitened_distance_by_class, whitened_parts
from ..signature import Signature
from ..stored import refuse
from .mahalanobis import check_squares, join_outer, whitening_of

_NUMBERS = 2**20  # in a block: many, so that each class has many rows in it


@dataclass(frozen=True)
class ClassMahalanobis(Criterion):
    """Distance to the mean of the predicted class under the covariance of that class (ours, beside Lee et al. 2018).

    A class of few samples has no covariance of its own. So that of all classes, Σ, counts as m samples more, as an
    inverse Wishart prior has it: (S_c + m Σ) / (n_c + m), with S_c the sum of squares of the n_c samples within the
    class, and m = `shared` times the number of neurons. A class of many more samples has its own covariance, one of far
    fewer that of `Mahalanobis`. `shrinkage` then moves it towards a multiple of the identity.

    The deviation is the distance alone, without the log-determinant that a likelihood has beside it. So all classes
    have one scale, and a class does not stand out for being wide.

    The covariances take classes times neurons squared numbers. More than `LARGEST` raise ValueError.
    """

    shared: float = 1.0
    shrinkage: float = 1e-3
    name: ClassVar[str] = "class_mahalanobis"
    LARGEST: ClassVar[int] = 2**26

    def __post_init__(self) -> None:
        require(self.shared >= 0, "shared of 0 or more", self.shared)
        require(0 < self.shrinkage <= 1, "shrinkage in (0, 1]", self.shrinkage)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        if classes * neurons**2 > self.LARGEST:
            raise ValueError(
                f"expected covariances of at most {self.LARGEST:,} numbers, classes x neurons squared, got"
                f" {classes:,} x {neurons:,} squared; take mahalanobis, which has one covariance for all classes, or"
                " fewer neurons"
            )
        return {
            "mean": ((classes, neurons), np.float64, 0),
            "squares": ((classes, neurons, neurons), np.float64, 0),
        }

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        for c in np.unique(labels):
            rows = values[labels == c].astype(np.float64)
            mean = rows.mean(axis=0)
            rows -= mean
            join_outer(arrays["mean"][c], arrays["squares"][c], counts[c], len(rows), mean)
            arrays["squares"][c] += rows.T @ rows

    def _merge(self, into: Signature, other: Signature) -> None:
        into.arrays["squares"] += other.arrays["squares"]
        for c in np.flatnonzero(other.counts):
            mean, squares = into.arrays["mean"][c], into.arrays["squares"][c]
            join_outer(mean, squares, into.counts[c], other.counts[c], other.arrays["mean"][c])

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        refuse(~np.isfinite(arrays["mean"]), "a finite mean", arrays["mean"])
        for c, squares in enumerate(arrays["squares"]):
            try:
                check_squares(squares)
            except ValueError as error:
                raise ValueError(f"class {c}: {error}") from None

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(mean, whitenings) as `whitened_distance_by_class` takes them."""
        counts, squares = signature.counts, signature.arrays["squares"]
        whole, prior = squares.sum(axis=0) / max(counts.sum(), 1), self.shared * signature.neurons
        whitenings = np.zeros((len(counts), signature.neurons**2), np.float32)
        for c in np.flatnonzero(counts):
            covariance = (squares[c] + prior * whole) / (counts[c] + prior)
            whitenings[c] = whitening_of(covariance, self.shrinkage).astype(np.float32).T.ravel()
        return signature.arrays["mean"].astype(np.float32), whitenings

    def _with_scratch(self, tables: Any, n: int) -> tuple[np.ndarray, ...]:
        return *tables, np.empty(4 * tables[0].shape[1], np.float32)

    def _many_rows(self, tables: Any, n: int, rows_a_frame: int) -> Comparer:
        mean, whitenings = tables
        classes, neurons = mean.shape
        strips = [triangular(matrix.reshape(neurons, neurons)) for matrix in whitenings]

        def bound(rows: int) -> Compare:
            steps, whitened = scratch(rows, neurons), scratch(rows, neurons)
            times_triangular(steps, strips[0], whitened)  # BLAS takes its memory at the first product
            order, ends = np.empty(rows, np.int64), np.empty(classes, np.int64)

            def compare(values: np.ndarray, labels: np.ndarray, first: int, out: np.ndarray) -> None:
                order_of_classes(labels, first, ends, order)
                from_means(values, labels, mean, first, order, steps)
                start = 0
                for of_class, end in zip(strips, ends.tolist(), strict=True):
                    if end > start:
                        times_triangular(steps[start:end], of_class, whitened[start:end])
                    start = end
                norms(whitened, first, order, out)

            return compare

        return in_blocks(n, rows_a_frame, neurons, bound, _NUMBERS)

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        mean, whitenings = tables
        whitened_parts(values, label, mean, whitenings[label], out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        whitened_distance_by_class(values, labels, *tables, out)
