"""The coverage bitmap: one bit per class, neuron and section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..kernels import bitmap
from ..signature import Signature
from ..stored import check_bitmap

_GRID = ("low", "high", "scale", "base", "bits")


@dataclass(frozen=True)
class CoverageBitmap(Criterion):
    """The compact form of multi-range coverage (our variant): has this class ever been in this section?

    One grid per neuron, shared by all classes, of at most `sections` (2 to 8) sections whose width is a power of
    two; one byte per class and neuron. The deviation is the number of neurons in a section new to the class.
    """

    sections: int = 8
    name: ClassVar[str] = "bitmap"
    merges_exactly: ClassVar[bool] = True
    takes_codes: ClassVar[bool] = True

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
        bitmap.bitmap_observe(values, labels, *(arrays[name] for name in _GRID), self.sections)

    def _merge(self, into: Signature, other: Signature) -> None:
        grids = [signature.arrays[name] for signature in (into, other) for name in _GRID]
        bitmap.bitmap_merge(*grids, self.sections)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_bitmap(arrays, counts, self.sections)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        return tuple(signature.arrays[name] for name in ("scale", "base", "bits"))

    def _prepare_codes(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(shift, base, bits), uint8: the section of a code is (code >> shift) - base, 0 to 7.

        A dyadic grid has just these sections where their width is 1 to 128 codes. A narrower section holds one code.
        The base stops at 248, so that the difference of two bytes never wraps round into a section.
        """
        scale, first, bits = self._prepare(signature)
        exponent = np.frexp(scale)[1] - 1
        shift = np.clip(-exponent, 0, 7)
        seen = np.zeros_like(bits)
        with np.errstate(all="ignore"):
            start = np.ceil(np.ldexp(first.astype(np.float64), -exponent - shift))
            base = np.clip(np.nan_to_num(start), 0, 248).astype(np.int64)
            for k in range(8):
                section = np.floor(((base + k) << shift).astype(np.float32) * scale) - first
                within = (section >= 0) & (section < 8)
                seen |= ((bits >> np.where(within, section, 0).astype(np.uint8)) & within) << np.uint8(k)
        return shift.astype(np.uint8), base.astype(np.uint8), seen

    def joined_kernel(self) -> Callable[..., None]:
        return bitmap.bitmap_outside_of_columns

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        bitmap.bitmap_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        kernel = bitmap.bitmap_outside_codes if values.dtype == np.uint8 else bitmap.bitmap_outside
        kernel(values, labels, *tables, out)
