"""Trusted samples that a signature keeps: a bounded number of each class, whichever order they come in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .criterion import Arrays

EMPTY = np.uint64(2**64 - 1)
"""The hash of a place where no sample is."""


def specify_kept(
    neurons: int, classes: int, capacity: int, dtype: type[np.generic] = np.float32
) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
    """The arrays that hold `capacity` samples of each class, for `Criterion._specification`.

    dtype: of the numbers of a sample, float32, or uint64 for packed bits.
    """
    return {
        "hashes": ((classes, capacity), np.uint64, EMPTY),
        "samples": ((classes, capacity, neurons), dtype, 0),
    }


def specify_times(classes: int, capacity: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
    """The array that counts, beside those of `specify_kept`, how often each kept sample came: exact, and it merges."""
    return {"times": ((classes, capacity), np.int64, 0)}


def keep_samples(arrays: Arrays, values: np.ndarray, labels: np.ndarray) -> None:
    """Keep of each class the samples with the smallest hashes of their values, equal ones once.

    values: (n, neurons) float32 or codes, or packed bits. labels: (n,) int64. Whatever the order, the same samples are
    kept.
    """
    hashes = np.array([hash_of(row) for row in values], np.uint64)
    for c in np.unique(labels):
        rows = np.flatnonzero((labels == c) & (hashes <= arrays["hashes"][c, -1]))
        _keep(arrays, c, hashes[rows], values[rows], np.ones(len(rows), np.int64))


def merge_kept(into: Arrays, other: Arrays) -> None:
    """Keep in `into` what would be kept of the samples of both."""
    for c, held in enumerate(held_per_class(other)):
        times = other["times"][c, :held] if "times" in other else np.ones(held, np.int64)
        _keep(into, c, other["hashes"][c, :held], other["samples"][c, :held], times)


def held_per_class(arrays: Arrays) -> np.ndarray:
    """How many samples are kept of each class, (classes,) int64: the first ones of `samples`."""
    held: np.ndarray = (arrays["hashes"] != EMPTY).sum(axis=1)
    return held


def _keep(arrays: Arrays, c: int | np.integer, hashes: np.ndarray, samples: np.ndarray, times: np.ndarray) -> None:
    before = int((arrays["hashes"][c] != EMPTY).sum())
    joined = np.concatenate([arrays["hashes"][c, :before], hashes])
    every, first, which = np.unique(joined, return_index=True, return_inverse=True)
    kept = min(len(every), arrays["hashes"].shape[1])
    candidates = np.concatenate([arrays["samples"][c, :before], samples])
    arrays["hashes"][c, :kept] = every[:kept]
    arrays["samples"][c, :kept] = candidates[first[:kept]]
    if (
        "times" in arrays
    ):  # a sample that is kept at last was kept since it came first, as hashes only give way to lower
        totals = np.zeros(len(every), np.int64)
        np.add.at(totals, which, np.concatenate([arrays["times"][c, :before], times]))
        arrays["times"][c, :kept] = totals[:kept]


def hash_of(row: np.ndarray) -> int:
    """The hash of a sample's values, as float32, uint64 or float64: those with the smallest are kept."""
    numbers = row if row.dtype in (np.uint64, np.float64) else row.astype(np.float32, copy=False)
    digest = hashlib.blake2b(numbers.tobytes(), digest_size=8).digest()
    return min(int.from_bytes(digest, "little"), int(EMPTY) - 1)
