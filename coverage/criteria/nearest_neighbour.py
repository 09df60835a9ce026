"""Nearest-neighbour coverage: on/off patterns of a bounded number of trusted samples per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..kept import held_per_class, keep_samples, merge_kept, specify_kept
from ..kernels.patterns import nearest_distance, pack_above
from ..signature import Signature
from ..stored import check_kept


@dataclass(frozen=True)
class NearestNeighbour(Criterion):
    """kNNC, the nearest-neighbour member of the family of Rossolini et al. (IEEE TSE 2022), a reconstruction.

    It keeps of each class the `capacity` samples whose values have the smallest hash. Which are kept does not depend
    on the order, and equal samples are kept once. A pattern has a bit per neuron: above the median of all kept
    samples or not. The deviation is the Hamming distance to the k-th nearest pattern of the class.
    """

    k: int = 1
    capacity: int = 256
    name: ClassVar[str] = "nearest_neighbour"
    merges_exactly: ClassVar[bool] = True
    takes_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(1 <= self.k <= self.capacity, "1 <= k <= capacity", (self.k, self.capacity))

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return specify_kept(neurons, classes, self.capacity)

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        keep_samples(arrays, values, labels)

    def _merge(self, into: Signature, other: Signature) -> None:
        merge_kept(into.arrays, other.arrays)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_kept(arrays, counts)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        held = held_per_class(signature.arrays)
        samples = signature.arrays["samples"]
        kept = np.concatenate([samples[c, :n] for c, n in enumerate(held)])
        reference = np.median(kept, axis=0).astype(np.float32) if len(kept) else np.zeros_like(samples[0, 0])
        words = -(-signature.neurons // 64)
        patterns = np.zeros((*samples.shape[:2], words), np.uint64)
        for rows, bits in zip(samples, patterns, strict=True):
            pack_above(rows, reference, bits)
        return reference, patterns, held

    def _with_scratch(self, tables: Any, n: int) -> tuple[np.ndarray, ...]:
        return *tables, np.empty((n, tables[1].shape[2]), np.uint64), np.zeros(self.k, np.int64)

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        reference, patterns, held, bits, nearest = tables
        pack_above(values, reference, bits)
        nearest_distance(bits, labels, patterns, held, nearest, out)
