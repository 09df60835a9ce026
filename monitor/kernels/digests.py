"""A digest of 64 bits for each of many frames, so that a frame is known again by its bytes."""

from __future__ import annotations

import numpy as np
from numba import uint64

from ...coverage.kernels.compiling import compiled, inlined, read

_P1, _P2, _P3, _P4, _P5 = (
    np.uint64(prime)
    for prime in (
        0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
    )
)  # fmt: skip


@inlined
def rotated(value, bits):
    """A uint64 turned left by some bits."""
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@inlined
def mixed(lane, word):
    """One step of a lane: a word taken in."""
    return rotated(lane + word * _P2, 31) * _P1


@compiled(read(uint64, 2), uint64, uint64[::1])
def digests(words, seed, out):
    """XXH64 (Collet, 2014, xxHash specification 0.1.1) of each row of 64-bit words, little-endian.

    words: (n, k). out: (n,). No cryptographic hash: it knows frames again, and guards against nobody.
    """
    k = words.shape[1]
    whole = k - k % 4
    for i in range(words.shape[0]):
        if whole:
            a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
            for j in range(0, whole, 4):
                a = mixed(a, words[i, j])
                b = mixed(b, words[i, j + 1])
                c = mixed(c, words[i, j + 2])
                d = mixed(d, words[i, j + 3])
            h = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)
            h = (h ^ mixed(np.uint64(0), a)) * _P1 + _P4
            h = (h ^ mixed(np.uint64(0), b)) * _P1 + _P4
            h = (h ^ mixed(np.uint64(0), c)) * _P1 + _P4
            h = (h ^ mixed(np.uint64(0), d)) * _P1 + _P4
        else:
            h = seed + _P5
        h += np.uint64(8 * k)
        for j in range(whole, k):
            h = rotated(h ^ mixed(np.uint64(0), words[i, j]), 27) * _P1 + _P4
        h = (h ^ (h >> np.uint64(33))) * _P2
        h = (h ^ (h >> np.uint64(29))) * _P3
        out[i] = h ^ (h >> np.uint64(32))
