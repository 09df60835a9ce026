"""The floor under a monitor's cost: what it takes this machine to read the tapped bytes once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle

import numpy as np

from ...networks import Tap
from ...networks.cost.timing import paired

SPREAD = 256 << 20
"""Bytes that are read in turn, so that none is in the cache when it is read again."""
_READS, _WARM_UP = 31, 3


def bytes_of(taps: Sequence[Tap]) -> int | None:
    """The bytes of the tensors that are tapped, each once; None where the size of one is open."""
    tensors = {tap.name: tap for tap in taps}.values()
    total = 0
    for tap in tensors:
        sizes = [size for size in (*tap.shape, tap.rows) if size is not None]
        if len(sizes) <= len(tap.shape):
            return None
        total += math.prod(sizes) * np.dtype(tap.dtype).itemsize
    return total


def read_seconds(size: int) -> float:
    """Seconds of one read of so many bytes that are not in the cache: the median of numpy sums, by one thread."""
    parts = cycle(memory_for(size))
    return float(np.median(paired({"read": lambda: int(next(parts).sum())}, _READS, _WARM_UP)["read"]))


def memory_for(size: int, spread: int = SPREAD) -> np.ndarray:
    """(parts, words) uint64: parts of so many bytes, `spread` bytes of them or more in all. All of it was written to.

    Sums of whole numbers keep up with the memory, where those of floats may not.
    """
    words = max(size // 8, 1)
    return np.ones((max(math.ceil(spread / (8 * words)), 1), words), np.uint64)
