"""Head coverage: a bitmap over attention heads and sections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..kept import held_per_class, keep_samples, merge_kept, specify_kept
from ..kernels import bitmap, heads
from ..kernels.grids import dyadic_grid
from ..signature import Signature
from ..stored import check_bitmap, check_kept

_NORMS = ("low", "high", "scale", "base", "bits")
_FINEST = 2.0**6
"""Sections of angles in a radian, at most: finer ones would tell the rounding of cosines near 1 apart."""


@dataclass(frozen=True)
class HeadCoverage(Criterion):
    """Coverage of attention heads (ours): has this class ever had a head in this section?

    The neurons are the outputs of heads, `channels` numbers each, one head behind the other. Two figures tell how a
    head reacts: the norm of its output, and its angle to the mean direction of the class. Each falls into one of at
    most `sections` (2 to 8) sections of a dyadic grid that all classes share. The deviation is the number of figures
    in a section new to the class, 0 to twice the number of heads.

    channels: 0 to take them from the tap, as `for_heads` does; a signature needs to know them.
    capacity: the mean direction is known only once all samples are, so that it and the sections of the angles come
    from the `capacity` samples of each class whose values have the smallest hash. They are all samples of a class that
    has no more. The sections of the norms are those of all samples in any case. Merging is exact.
    """

    channels: int = 0
    sections: int = 8
    capacity: int = 256
    name: ClassVar[str] = "head"
    merges_exactly: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.channels >= 0, "1 or more channels of a head, or 0 for those of the tap", self.channels)
        require(2 <= self.sections <= 8, "2 to 8 sections", self.sections)
        require(self.capacity >= 1, "capacity of at least 1", self.capacity)

    def for_heads(self, channels: int | None) -> HeadCoverage:
        if channels is None:
            require(self.channels > 0, "attention heads taken by channel, as '@attention:channel'", "other neurons")
            return self
        require(self.channels in (0, channels), f"{channels} channels of a head, as the tap has", self.channels)
        return replace(self, channels=channels)

    def bitmap(self, signature: Signature) -> np.ndarray:
        """The sections that trusted samples reached: (classes, 2, heads) uint8, a bit each, norms before angles."""
        bits: np.ndarray = signature.tables(lambda: self._prepare(signature))[3]
        return bits.copy()

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        require(self.channels > 0, "the channels of a head, channels=1 or more", self.channels)
        require(neurons % self.channels == 0, f"neurons in heads of {self.channels} channels", neurons)
        count = neurons // self.channels
        return {
            "low": ((count,), np.float32, np.inf),
            "high": ((count,), np.float32, -np.inf),
            "scale": ((count,), np.float32, 0),
            "base": ((count,), np.float32, 0),
            "bits": ((classes, count), np.uint8, 0),
            **specify_kept(neurons, classes, self.capacity),
        }

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        keep_samples(arrays, values, labels)
        nowhere = np.zeros((len(counts), values.shape[1]), np.float32)
        norms = np.ascontiguousarray(self._figures(values, labels, nowhere)[:, 0])
        bitmap.bitmap_observe(norms, labels, *(arrays[name] for name in _NORMS), self.sections)

    def _merge(self, into: Signature, other: Signature) -> None:
        merge_kept(into.arrays, other.arrays)
        grids = [signature.arrays[name] for signature in (into, other) for name in _NORMS]
        bitmap.bitmap_merge(*grids, self.sections)

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        check_bitmap(arrays, counts, self.sections)
        check_kept(arrays, counts)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        """(directions, scale, base, bits) as `heads_outside` takes them."""
        arrays = signature.arrays
        held = held_per_class(arrays)
        labels = np.repeat(np.arange(len(held)), held)
        kept = np.concatenate([arrays["samples"][c, :n] for c, n in enumerate(held)])
        directions = self._directions(kept, labels, len(held))
        angles = self._figures(kept, labels, directions)[:, 1]
        scale, base = (np.stack([arrays[name]] * 2) for name in ("scale", "base"))
        bits = np.stack([arrays["bits"]] * 2, axis=1)
        bits[:, 1] = 0
        for h in range(angles.shape[1] if len(kept) else 0):
            scale[1, h], base[1, h] = self._grid(angles[:, h])
            section = (np.floor(angles[:, h] * scale[1, h]) - base[1, h]).astype(np.uint8)
            np.bitwise_or.at(bits[:, 1, h], labels, np.uint8(1) << section)
        return directions, scale, base, bits

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        heads.heads_parts(values, label, *tables, out)
        return True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        heads.heads_outside(values, labels, *tables, out)

    def _figures(self, values: np.ndarray, labels: np.ndarray, directions: np.ndarray) -> np.ndarray:
        out = np.empty((len(values), 2, values.shape[1] // self.channels), np.float32)
        heads.head_figures(values, labels, directions, out)
        return out

    def _directions(self, samples: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
        """The mean of the heads' unit vectors, of length 1; 0 where it is none. (classes, neurons) float32."""
        vectors = samples.reshape(len(samples), samples.shape[1] // self.channels, self.channels).astype(np.float64)
        sums = np.zeros((classes, *vectors.shape[1:]))
        np.add.at(sums, labels, _unit(vectors))
        return _unit(sums).astype(np.float32).reshape(classes, -1)

    def _grid(self, angles: np.ndarray) -> tuple[float, float]:
        low, high = float(angles.min()), float(angles.max())
        scale, base = dyadic_grid(low, high, self.sections)
        return (scale, base) if scale <= _FINEST else (_FINEST, np.floor(low * _FINEST))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors of the last axis with length 1, or 0."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
