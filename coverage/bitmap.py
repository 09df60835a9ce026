"""The coverage bitmap: one bit per class, neuron and section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import kernels
from .criterion import Arrays, Criterion, require
from .signature import Signature

_GRID = ("low", "high", "scale", "base", "bits")


@dataclass(frozen=True)
class CoverageBitmap(Criterion):
    """The compact form of multi-range coverage (our variant): has this class ever been in this section?

    One grid per neuron, shared by all classes, of at most `sections` (2 to 8) sections whose width is a power of
    two; one byte per class and neuron. The deviation is the number of neurons in a section new to the class.
    """

    sections: int = 8
    name: ClassVar[str] = "bitmap"

    def __post_init__(self) -> None:
        require(2 <= self.sections <= 8, "2 to 8 sections", self.sections)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return {
            "low": ((neurons,), np.float32, np.inf),
            "high": ((neurons,), np.float32, -np.inf),
            "scale": ((neurons,), np.float32, 0),
            "base": ((neurons,), np.float32, 0),
            "bits": ((classes, neurons), np.uint8, 0),
        }

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        kernels.bitmap_observe(values, labels, *(arrays[name] for name in _GRID), self.sections)

    def _merge(self, into: Signature, other: Signature) -> None:
        grids = [signature.arrays[name] for signature in (into, other) for name in _GRID]
        kernels.bitmap_merge(*grids, self.sections)

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        kernels.bitmap_outside(values, labels, tables["scale"], tables["base"], tables["bits"], out)
