"""The distance to the nearest trusted samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..blocks import Compare, in_blocks, scratch
from ..criterion import Arrays, Comparer, Criterion, require
from ..kept import held_per_class, keep_samples, merge_kept, specify_kept
from ..kernels.distances.neighbours import kth_nearest, kth_nearest_by_scores, neighbour_parts, prepared
from ..signature import Signature
from ..stored import check_kept


@dataclass(frozen=True)
class Neighbours(Criterion):
    """Sun et al. (ICML 2022): the distance to the k-th nearest trusted sample, between vectors of unit length.

    Samples of all classes are compared with, as published: the predicted class says only whether it was observed. Of
    all trusted samples, the bank keeps the `samples` whose values have the smallest hash (published: all, or a share
    chosen at random). Which are kept does not depend on the order, and equal ones are kept once.

    k: with fewer samples than that, the farthest counts.
    normalise: divide each vector by its length first, as published; a vector of zeros stays.
    directions: compare along so many, those along which the bank varies most, to save time (ours); 0 for all.
    The deviation is Euclidean: 0 to 2 for unit vectors.
    Raises ValueError for a bank of more than `LARGEST` numbers.
    """

    k: int = 1
    samples: int = 1024
    normalise: bool = True
    directions: int = 64
    name: ClassVar[str] = "neighbours"
    LARGEST: ClassVar[int] = 2**26

    def __post_init__(self) -> None:
        require(1 <= self.k <= self.samples, "1 <= k <= samples", (self.k, self.samples))
        require(self.directions >= 0, "directions of 1 or more, or 0 for all", self.directions)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        if self.samples * neurons > self.LARGEST:
            raise ValueError(
                f"expected a bank of at most {self.LARGEST:,} numbers, samples x neurons, got {self.samples:,} x"
                f" {neurons:,}; take channels or places instead of units, or fewer samples"
            )
        return specify_kept(neurons, 1, self.samples)

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        keep_samples(arrays, values, np.zeros_like(labels))

    def _merge(self, into: Signature, other: Signature) -> None:
        merge_kept(into.arrays, other.arrays)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_kept(arrays, counts.sum(keepdims=True))

    def keeps(self) -> Any:
        return self.name, self.samples  # the rest is of the tables

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(project, bank) as `kth_nearest` takes them."""
        held = max(int(held_per_class(signature.arrays)[0]), 1)  # nothing is compared with the zeros of an empty bank
        bank = signature.arrays["samples"][0, :held].astype(np.float64)
        if self.normalise:
            lengths = np.linalg.norm(bank, axis=1, keepdims=True)
            bank = np.divide(bank, lengths, out=np.zeros_like(bank), where=lengths > 0)
        axes = np.empty((0, bank.shape[1]))
        if 0 < self.directions < min(bank.shape):
            axes = np.linalg.svd(bank - bank.mean(axis=0), full_matrices=False)[2][: self.directions].T
            bank = bank @ axes
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(axes, np.float32), bank.astype(np.float32)

    def _with_scratch(self, tables: Any, n: int) -> tuple[Any, ...]:
        project, bank = tables
        row, along = np.empty(len(project) or bank.shape[1], np.float32), np.empty(bank.shape[1], np.float32)
        return project, bank, int(self.normalise), row, along, *self._nearest()

    def _nearest(self) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(self.k, np.float32), np.zeros(self.k, np.int64)

    def _many_rows(self, tables: Any, n: int, rows_a_frame: int) -> Comparer:
        project, bank = tables
        samples, directions = bank.shape
        neurons, unit = len(project) or directions, int(self.normalise)
        # A row along the directions and a 1 behind it, times these, are what its squared distances have beside its own.
        with np.errstate(over="ignore"):
            lengths = np.square(bank).sum(axis=1)
        products = np.ascontiguousarray(np.concatenate([-2 * bank.T, lengths[None]]))

        def bound(rows: int) -> Compare:
            along, scores = scratch(rows, directions + 1), scratch(rows, samples)
            along[:, -1] = 1
            vectors = scratch(rows, neurons) if len(project) else along
            nearest = self._nearest()
            np.matmul(along, products, out=scores)  # BLAS takes its memory at the first product

            def compare(values: np.ndarray, labels: np.ndarray, first: int, out: np.ndarray) -> None:
                prepared(values, first, unit, vectors)
                if len(project):
                    np.matmul(vectors, project, out=along[:, :-1])
                np.matmul(along, products, out=scores)
                kth_nearest_by_scores(along, scores, bank, *nearest, first, out)

            return compare

        return in_blocks(n, rows_a_frame, max(neurons, samples), bound, 2**18)

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        neighbour_parts(values, *self._with_scratch(tables, 1), out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        kth_nearest(values, *tables, out)
