"""Digests of frames against XXH64 in plain Python, written after its specification."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from outrider.monitor.kernels.digests import digests

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261,
)  # fmt: skip


def turned(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK


def taken(lane, word):
    return turned((lane + word * P2) & MASK, 31) * P1 & MASK


def xxh64(data, seed=0):
    """Of any bytes, tails of 4 and of 1 among them, so that the published values can vouch for it."""
    at = 0
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while at + 32 <= len(data):
            lanes = [taken(lane, word) for lane, word in zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)]
            at += 32
        h = sum(turned(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            h = ((h ^ taken(0, lane)) * P1 + P4) & MASK
    else:
        h = (seed + P5) & MASK
    h = (h + len(data)) & MASK
    for size, form in ((8, "<Q"), (4, "<I"), (1, "<B")):
        while at + size <= len(data):
            (word,) = struct.unpack_from(form, data, at)
            at += size
            if size == 8:
                h = (turned(h ^ taken(0, word), 27) * P1 + P4) & MASK
            elif size == 4:
                h = (turned(h ^ (word * P1 & MASK), 23) * P2 + P3) & MASK
            else:
                h = turned(h ^ (word * P5 & MASK), 11) * P1 & MASK
    h = (h ^ (h >> 33)) * P2 & MASK
    h = (h ^ (h >> 29)) * P3 & MASK
    return h ^ (h >> 32)


def test_the_reference_gives_the_published_values():
    assert [xxh64(text) for text in (b"", b"a", b"abc")] == [0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
@pytest.mark.parametrize("words", [0, 1, 3, 4, 5, 8, 31])
def test_each_row_gets_its_xxh64(words, seed):
    rows = np.random.default_rng(words).integers(0, 2**64, (3, words), np.uint64)
    out = np.empty(3, np.uint64)
    digests(rows, np.uint64(seed), out)
    assert out.tolist() == [xxh64(row.tobytes(), seed) for row in rows]
