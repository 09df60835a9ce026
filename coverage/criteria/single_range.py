"""Single-range coverage: one interval per class and neuron."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..histogram import merge_histograms, observe_histogram, quantile_range, specify_histogram
from ..kernels import ranges
from ..signature import Signature
from ..stored import check_histogram, check_ranges


@dataclass(frozen=True)
class SingleRange(Criterion):
    """SRC of Rossolini et al. (IEEE TSE 2022): the number of neurons outside the range seen in the predicted class.

    quantile: 0 for minimum and maximum, as published. Above 0 the bounds are the `quantile` and 1 - `quantile`
    points of the class, interpolated in a histogram of 64 sections (our variant; needs 32 times the memory).
    magnitude: sum how far outside each neuron lies, in widths of its range, instead of counting (our variant).
    """

    quantile: float = 0.0
    magnitude: bool = False
    name: ClassVar[str] = "single_range"
    merges_exactly: ClassVar[bool] = True
    takes_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(0 <= self.quantile < 0.5, "quantile in [0, 0.5)", self.quantile)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        if self.quantile:
            return specify_histogram(neurons, classes, sections=64)
        shape = (classes, neurons)
        return {"low": (shape, np.float32, np.inf), "high": (shape, np.float32, -np.inf)}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        if self.quantile:
            observe_histogram(arrays, values, labels)
        else:
            ranges.range_observe(values, labels, arrays["low"], arrays["high"])

    def _merge(self, into: Signature, other: Signature) -> None:
        if self.quantile:
            merge_histograms(into.arrays, other.arrays)
        else:
            np.minimum(into.arrays["low"], other.arrays["low"], out=into.arrays["low"])
            np.maximum(into.arrays["high"], other.arrays["high"], out=into.arrays["high"])

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        (check_histogram if self.quantile else check_ranges)(arrays, counts)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        low, high = signature.arrays["low"], signature.arrays["high"]
        if self.quantile:
            low, high = quantile_range(signature.arrays, self.quantile)
        if not self.magnitude:
            return low, high
        return low, high, inverse_width(low, high)

    def _prepare_codes(self, signature: Signature) -> tuple[np.ndarray, ...]:
        tables = self._prepare(signature)
        return tables if self.magnitude else bounds_of_codes(*tables)

    def joined_kernel(self) -> Callable[..., None] | None:
        return None if self.magnitude else ranges.range_outside_of_columns

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        if not self.magnitude:
            ranges.range_parts(values, label, *tables, out)
        return not self.magnitude

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        if self.magnitude:
            ranges.range_magnitude(values, labels, *tables, out)
        elif values.dtype == np.uint8:
            ranges.range_outside_codes(values, labels, *tables, out)
        else:
            ranges.range_outside(values, labels, *tables, out)


def bounds_of_codes(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest code in [low, high], uint8. (255, 0) where there is none: all are outside then."""
    first, last = np.ceil(np.maximum(low, 0)), np.floor(np.minimum(high, 255))
    some = first <= last  # false for NaN too
    return np.where(some, first, 255).astype(np.uint8), np.where(some, last, 0).astype(np.uint8)


def inverse_width(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """1 / width. A neuron that never moved takes the median width of those of its class that did."""
    with np.errstate(invalid="ignore"):
        width = high - low
    inverse = np.ones_like(width)
    for row, result in zip(width, inverse, strict=True):
        moved = np.isfinite(row) & (row > 0)
        if moved.any():
            result[:] = 1 / np.maximum(np.where(moved, row, np.median(row[moved])), np.finfo(np.float32).tiny)
    return inverse
