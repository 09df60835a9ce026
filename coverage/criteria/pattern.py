"""On/off patterns: which neurons of a ReLU were on together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..kept import held_per_class, keep_samples, merge_kept, specify_kept, specify_times
from ..kernels.patterns import nearest_distance, pack_above, pattern_parts
from ..signature import Signature
from ..stored import check_kept


@dataclass(frozen=True)
class Pattern(Criterion):
    """Cheng, Nührenberg and Yasuoka (DATE 2019): Hamming distance to the nearest on/off pattern of the class.

    A pattern has a bit per neuron: above 0 or not, as a ReLU is on or off. A class keeps a set of them. The monitor of
    the paper with Hamming radius g warns where the deviation is above g. The distance itself is the score of NAP (Olber
    et al., CVPR 2023). The paper keeps all patterns in a decision diagram. Here a class keeps at most `capacity`, those
    with the smallest hash: which ones does not depend on the order, and merging is exact. `left_out` says how many
    samples have a pattern that is not kept; with none of them this is the monitor of the paper.
    For neurons that are seldom 0, such as means of channels, `NearestNeighbour` has a bound of their own for each.
    """

    capacity: int = 1024
    name: ClassVar[str] = "pattern"
    merges_exactly: ClassVar[bool] = True
    takes_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.capacity >= 1, "capacity of at least 1", self.capacity)

    def left_out(self, signature: Signature) -> np.ndarray:
        """How many samples of each class have a pattern that is not kept, (classes,) int64, exactly.

        Raises ValueError for a signature of another criterion.
        """
        self._check_owner(signature)
        left: np.ndarray = signature.counts - signature.arrays["times"].sum(axis=1)
        return left

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        kept = specify_kept(-(-neurons // 64), classes, self.capacity, np.uint64)
        return kept | specify_times(classes, self.capacity)

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        patterns = np.empty((len(values), arrays["samples"].shape[2]), np.uint64)
        pack_above(values, np.zeros(values.shape[1], np.float32), patterns)
        keep_samples(arrays, patterns, labels)

    def _merge(self, into: Signature, other: Signature) -> None:
        merge_kept(into.arrays, other.arrays)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_kept(arrays, counts)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(bound of each neuron, patterns, how many of each class) as `pattern_parts` takes them."""
        held = held_per_class(signature.arrays)
        patterns = np.ascontiguousarray(signature.arrays["samples"][:, : max(held.max(), 1)])
        return np.zeros(signature.neurons, np.float32), patterns, held

    def _with_scratch(self, tables: Any, n: int) -> tuple[np.ndarray, ...]:
        return *tables, np.empty((n, tables[1].shape[2]), np.uint64), np.zeros(1, np.int64)

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        pattern_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        reference, patterns, held, bits, nearest = tables
        pack_above(values, reference, bits)
        nearest_distance(bits, labels, patterns, held, nearest, out)
