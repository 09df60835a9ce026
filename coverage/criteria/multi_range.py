"""Multi-range coverage: the range of a class and neuron in equal sections, each with its share of the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..histogram import cumulative_share, merge_histograms, observe_histogram, specify_histogram
from ..kernels.sections import sections_cost, sections_cost_of_columns, sections_parts
from ..signature import Signature
from ..stored import check_histogram

_FINE = 8


@dataclass(frozen=True)
class MultiRange(Criterion):
    """MRC of Rossolini et al. (IEEE TSE 2022): a neuron costs 1 - (share of its section), 1 outside the range.

    sections: Q. cost: "share" as published, or "log" for -log(share) with half a sample in place of none
    (our variant). With one section and the published cost it equals `SingleRange()`.
    The range is exact. The shares are interpolated from a one-pass histogram of 8 Q sections (our reconstruction: the
    paper's equal sections need a second pass, once the range is known). A share is off by at most what falls into the
    fine sections at its two borders.
    """

    sections: int = 32
    cost: str = "share"
    name: ClassVar[str] = "multi_range"
    merges_exactly: ClassVar[bool] = True
    takes_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(1 <= self.sections <= 256, "1 to 256 sections", self.sections)
        require(self.cost in ("share", "log"), "cost 'share' or 'log'", self.cost)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return specify_histogram(neurons, classes, _FINE * self.sections)

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        observe_histogram(arrays, values, labels)

    def _merge(self, into: Signature, other: Signature) -> None:
        merge_histograms(into.arrays, other.arrays)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_histogram(arrays, counts)

    def shares(self, signature: Signature, class_index: int | np.integer) -> np.ndarray:
        """λ of one class: (neurons, sections) float64, the share of its samples in each section."""
        low, high = (signature.arrays[name][class_index].astype(np.float64) for name in ("low", "high"))
        borders = low[:, None] + (high - low)[:, None] * np.arange(1, self.sections) / self.sections
        below = cumulative_share(signature.arrays, class_index, borders) if self.sections > 1 else borders
        below = np.where((high == low)[:, None], 1.0, below)
        ends = np.zeros((len(low), 1)), np.ones((len(low), 1))
        return np.diff(np.concatenate([ends[0], below, ends[1]], axis=1), axis=1)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        low, high = signature.arrays["low"], signature.arrays["high"]
        cost = np.ones((signature.classes, signature.neurons, self.sections + 1), np.float32)
        for c in np.flatnonzero(signature.counts):
            cost[c, :, :-1] = self.shares(signature, c)
            if self.cost == "share":
                cost[c, :, :-1] = 1 - cost[c, :, :-1]
            else:
                never = 0.5 / signature.counts[c]
                cost[c, :, -1] = never
                cost[c] = -np.log(np.maximum(cost[c], never))
        with np.errstate(over="ignore"):
            width = np.where(high > low, high - low, np.inf)
            per_unit = (self.sections / width).astype(np.float32)
        per_unit[np.isinf(per_unit)] = 0  # a width next to nothing is one section
        return low, high, per_unit, cost

    def joined_kernel(self) -> Callable[..., None]:
        return sections_cost_of_columns

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        sections_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        sections_cost(values, labels, *tables, out)
