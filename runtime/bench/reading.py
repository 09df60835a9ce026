"""The floor under a monitor's cost: what it takes this machine to read the tapped bytes once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle

import numpy as np

from ...networks import Tap
from ...networks.cost import paired
from ...networks.neurons import lattice

SPREAD = 256 << 20
"""Bytes that are read in turn, so that none is in the cache when it is read again."""
_READS, _WARM_UP = 31, 3


def bytes_of(taps: Sequence[Tap]) -> int | None:
    """The bytes that are read of the tapped tensors, each once; None where the size of one is open."""
    read: dict[str, int] = {}
    for tap in taps:
        sizes = [size for size in (*tap.shape, tap.rows) if size is not None]
        if len(sizes) <= len(tap.shape):
            return None
        places = math.prod(size for size in tap.map_sizes if size is not None)
        sampled = math.prod(lattice(size, tap.sampled)[1] for size in tap.map_sizes if size) if tap.sampled else places
        own = math.prod(sizes) // max(places, 1) * sampled * np.dtype(tap.dtype).itemsize
        read[tap.name] = max(read.get(tap.name, 0), own)
    return sum(read.values())


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
