"""Trusted samples that a signature keeps: a bounded number of each class, whichever order they come in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .criterion import Arrays

_EMPTY = np.uint64(2**64 - 1)


def specify_kept(neurons: int, classes: int, capacity: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
    """The arrays that hold `capacity` samples of each class, for `Criterion._specification`."""
    return {
        "hashes": ((classes, capacity), np.uint64, _EMPTY),
        "samples": ((classes, capacity, neurons), np.float32, 0),
    }


def keep_samples(arrays: Arrays, values: np.ndarray, labels: np.ndarray) -> None:
    """Keep of each class the samples with the smallest hashes of their values, equal ones once.

    values: (n, neurons) float32 or codes. labels: (n,) int64. Whatever the order, the same samples are kept.
    """
    hashes = np.array([hash_of(row) for row in values], np.uint64)
    for c in np.unique(labels):
        rows = np.flatnonzero((labels == c) & (hashes < arrays["hashes"][c, -1]))
        _keep(arrays, c, hashes[rows], values[rows])


def merge_kept(into: Arrays, other: Arrays) -> None:
    """Keep in `into` what would be kept of the samples of both."""
    for c, held in enumerate(held_per_class(other)):
        _keep(into, c, other["hashes"][c, :held], other["samples"][c, :held])


def held_per_class(arrays: Arrays) -> np.ndarray:
    """How many samples are kept of each class, (classes,) int64: the first ones of `samples`."""
    held: np.ndarray = (arrays["hashes"] != _EMPTY).sum(axis=1)
    return held


def _keep(arrays: Arrays, c: int | np.integer, hashes: np.ndarray, samples: np.ndarray) -> None:
    held = arrays["hashes"][c] != _EMPTY
    capacity = len(held)
    every, first = np.unique(np.concatenate([arrays["hashes"][c, held], hashes]), return_index=True)
    kept = len(every[:capacity])
    candidates = np.concatenate([arrays["samples"][c, held], samples])
    arrays["hashes"][c, :kept] = every[:kept]
    arrays["samples"][c, :kept] = candidates[first[:kept]]


def hash_of(row: np.ndarray) -> int:
    """The hash of a sample's values: those with the smallest are kept."""
    digest = hashlib.blake2b(row.astype(np.float32, copy=False).tobytes(), digest_size=8).digest()
    return min(int.from_bytes(digest, "little"), int(_EMPTY) - 1)
