"""Which frames a profile was learned from, as digests: so that no threshold is set on them."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from ..kernels import digests as kernels
from .arrays import as_arrays

MOST = 1 << 20
"""The digests that are kept, 8 MiB of them: of more frames those with the smallest, a fair sample."""
_PENDING = 1 << 14


def digests_of(frames: Any) -> np.ndarray:
    """(n,) uint64: a digest for each frame (n, ...), or of the arrays of several inputs, by dtype, shape and bytes.

    The same of an array and of a tensor, whatever their strides and the order of the frames.
    """
    parts = [_of_part(np.ascontiguousarray(part)) for part in as_arrays(frames)]
    return parts[0] if len(parts) == 1 else _of_rows(np.ascontiguousarray(np.stack(parts, axis=1)), _seed("parts"))


def _of_part(part: np.ndarray) -> np.ndarray:
    n = len(part)
    rows = part.reshape(n, -1).view(np.uint8) if part.size else np.empty((n, 0), np.uint8)
    short = -rows.shape[1] % 8
    if short:
        rows = np.pad(rows, ((0, 0), (0, short)))
    return _of_rows(rows.view(np.uint64), _seed(f"{part.dtype.str} {part.shape[1:]}"))


def _of_rows(words: np.ndarray, seed: int) -> np.ndarray:
    out = np.empty(len(words), np.uint64)
    kernels.digests(words, np.uint64(seed), out)
    return out


@lru_cache(maxsize=64)
def _seed(form: str) -> int:
    return int.from_bytes(blake2b(form.encode(), digest_size=8).digest(), "little")


class FrameDigests:
    """The digests of the frames that were learned from: a set, and of more than `MOST` a sample of it."""

    def __init__(self, values: np.ndarray | None = None) -> None:
        self._values = np.empty(0, np.uint64) if values is None else values
        self._pending: list[np.ndarray] = []
        self._waiting = 0

    def add(self, digests: np.ndarray) -> None:
        """Take in digests (n,) uint64."""
        self._pending.append(digests)
        self._waiting += len(digests)
        if self._waiting >= max(_PENDING, len(self._values) // 4):
            self._settle()

    def _settle(self) -> None:
        if self._pending:
            self._values = np.unique(np.concatenate([self._values, *self._pending]))[:MOST]
            self._pending, self._waiting = [], 0

    def merge(self, other: FrameDigests) -> None:
        """Keep what would be kept of the frames of both."""
        self.add(other.values)

    @property
    def values(self) -> np.ndarray:
        """(m,) uint64, ascending. None of a profile of an older file."""
        self._settle()
        return self._values

    def among(self, digests: np.ndarray) -> tuple[np.ndarray, float]:
        """Which digests (n,) are of frames learned from, (n,) bool, and what share of all of them is.

        The two differ where only a sample is kept: then a frame may be one that was not kept.
        """
        known = self.values
        if not len(known) or not len(digests):
            return np.zeros(len(digests), bool), 0.0
        found = known[np.minimum(np.searchsorted(known, digests), len(known) - 1)] == digests
        testable = digests <= known[-1] if len(known) == MOST else np.ones(len(digests), bool)
        return found, float(found.sum() / max(testable.sum(), 1))
