"""The distance to the nearest trusted samples of the class, or to the centres of their clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..blocks import Compare, in_blocks, scratch
from ..clusters import centres_of
from ..criterion import Arrays, Comparer, Criterion, require
from ..kept import held_per_class, keep_samples, merge_kept, specify_kept
from ..kernels.distances.in_blocks import order_of_classes
from ..kernels.distances.neighbours import kth_nearest, kth_nearest_by_scores, neighbour_parts, prepared
from ..signature import Signature
from ..stored import check_kept

_NUMBERS = 2**20  # in a block: many, so that each class has many rows in it


@dataclass(frozen=True)
class Neighbours(Criterion):
    """The distance to the k-th nearest trusted sample, between vectors of unit length (Sun et al., ICML 2022).

    They compare with all training samples. This keeps of each class the `samples` whose values have the smallest hash,
    and compares with those of the predicted class (our variant): a class that is seldom seen has as many. Which are
    kept does not depend on the order, and equal ones are kept once.

    k: with fewer samples than that, the farthest counts.
    normalise: divide each vector by its length first, as published; a vector of zeros stays.
    centres: compare with the centres of so many clusters of the samples of the class (k-means, ours); 0 for the samples
    themselves. A few centres take little time and see as much of a map.
    The deviation is Euclidean: 0 to 2 for unit vectors.
    Raises ValueError for samples of more than `LARGEST` numbers in all.
    """

    k: int = 1
    samples: int = 512
    normalise: bool = True
    centres: int = 0
    name: ClassVar[str] = "neighbours"
    merges_exactly: ClassVar[bool] = True
    LARGEST: ClassVar[int] = 2**26

    def __post_init__(self) -> None:
        require(0 <= self.centres <= self.samples, "0 <= centres <= samples", (self.centres, self.samples))
        most = self.centres or self.samples
        require(1 <= self.k <= most, f"1 <= k <= {'centres' if self.centres else 'samples'}", (self.k, most))

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        if classes * self.samples * neurons > self.LARGEST:
            raise ValueError(
                f"expected samples of at most {self.LARGEST:,} numbers, classes x samples x neurons, got {classes:,} x"
                f" {self.samples:,} x {neurons:,}; take fewer samples, or channels or places instead of units"
            )
        return specify_kept(neurons, classes, self.samples)

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        keep_samples(arrays, values, labels)

    def _merge(self, into: Signature, other: Signature) -> None:
        merge_kept(into.arrays, other.arrays)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_kept(arrays, counts)

    def keeps(self) -> Any:
        return self.name, self.samples  # the rest is of the tables

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(bank, held) as `kth_nearest` takes them."""
        held = held_per_class(signature.arrays)
        bank = np.zeros((len(held), self.centres or self.samples, signature.neurons), np.float32)
        for c in np.flatnonzero(held):
            samples = signature.arrays["samples"][c, : held[c]].astype(np.float64)
            if self.normalise:
                lengths = np.linalg.norm(samples, axis=1, keepdims=True)
                samples = np.divide(samples, lengths, out=np.zeros_like(samples), where=lengths > 0)
            if self.centres:
                samples = centres_of(samples, self.centres)
                held[c] = len(samples)
            bank[c, : held[c]] = samples
        return bank, held

    def _with_scratch(self, tables: Any, n: int) -> tuple[Any, ...]:
        return *tables, int(self.normalise), np.empty(tables[0].shape[2], np.float32), *self._nearest()

    def _nearest(self) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(self.k, np.float32), np.zeros(self.k, np.int64)

    def _many_rows(self, tables: Any, n: int, rows_a_frame: int) -> Comparer:
        bank, held = tables
        (classes, capacity, neurons), unit = bank.shape, int(self.normalise)
        banks = [samples[:count] for samples, count in zip(bank, held, strict=True)]
        # A row and a 1 behind it, times these, are what its squared distances have beside its own square.
        with np.errstate(over="ignore"):
            products = [np.concatenate([-2 * own.T, np.square(own).sum(axis=1)[None]]) for own in banks]

        def bound(rows: int) -> Compare:
            vectors, scores = scratch(rows, neurons + 1), scratch(rows, capacity)
            vectors[:, -1] = 1
            order, ends, nearest = np.empty(rows, np.int64), np.empty(classes, np.int64), self._nearest()
            np.matmul(vectors[:, :-1], bank[0].T, out=scores)  # BLAS takes its memory at the first product

            def compare(values: np.ndarray, labels: np.ndarray, first: int, out: np.ndarray) -> None:
                order_of_classes(labels, first, ends, order)
                prepared(values, first, order, unit, vectors)
                start = 0
                for own, product, end in zip(banks, products, ends.tolist(), strict=True):
                    if end > start and len(own):
                        np.matmul(vectors[start:end], product, out=scores[start:end, : len(own)])
                        kth_nearest_by_scores(vectors, scores, start, end, own, *nearest, order, first, out)
                    start = end

            return compare

        return in_blocks(n, rows_a_frame, max(neurons, capacity), bound, _NUMBERS)

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        neighbour_parts(values, label, *self._with_scratch(tables, 1), out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        kth_nearest(values, labels, *tables, out)
