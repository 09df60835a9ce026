"""On/off patterns packed in words, and the distance to the nearest."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, uint64

from .compiling import CODES, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .rows import is_finite


@compiled(VALUES, read(float32, 1), uint64[:, ::1], codes=[CODES])
def pack_above(values, reference, patterns):
    """Pack the bits value > reference into `patterns` (n, ceil(neurons / 64)), lowest bit first."""
    neurons = values.shape[1]
    for i in range(values.shape[0]):
        for w in range(patterns.shape[1]):
            word = uint64(0)
            for j in range(64 * w, min(64 * w + 64, neurons)):
                word |= uint64(float32(values[i, j]) > reference[j]) << uint64(j - 64 * w)
            patterns[i, w] = word


@compiled(uint64, returns=int64)
def _ones(word):
    word -= (word >> uint64(1)) & uint64(0x5555555555555555)
    word = (word & uint64(0x3333333333333333)) + ((word >> uint64(2)) & uint64(0x3333333333333333))
    word = (word + (word >> uint64(4))) & uint64(0x0F0F0F0F0F0F0F0F)
    return int64((word * uint64(0x0101010101010101)) >> uint64(56))


@inlined
def _differs(value, reference, words, j):
    return int64(value > reference) ^ int64((words[j // 64] >> uint64(j % 64)) & uint64(1))


@compiled(read(uint64, 2), LABELS, read(uint64, 3), read(int64, 1), int64[::1], OUT)
def nearest_distance(patterns, labels, stored, held, nearest, out):
    """Hamming distance to the k-th nearest of the class's `held` patterns in `stored` (classes, capacity, words).

    `nearest` is scratch of k entries. With fewer than k patterns held, the farthest of them counts.
    """
    for i in range(patterns.shape[0]):
        c = labels[i]
        found = 0
        for row in range(held[c]):
            distance = int64(0)
            for w in range(patterns.shape[1]):
                distance += _ones(patterns[i, w] ^ stored[c, row, w])
            if found == nearest.shape[0] and distance >= nearest[found - 1]:
                continue
            k = found if found < nearest.shape[0] else found - 1
            while k > 0 and distance < nearest[k - 1]:
                nearest[k] = nearest[k - 1]
                k -= 1
            nearest[k] = distance
            found = min(found + 1, nearest.shape[0])
        out[i] = nearest[found - 1] if found else 64 * patterns.shape[1]


@compiled(ROW, int64, read(float32, 1), read(uint64, 3), read(int64, 1), OUT)
def pattern_parts(values, label, reference, stored, held, out):
    """1 for each neuron that is on in the sample and off in the nearest of the class's patterns, or the reverse.

    Of equally near ones the first counts. NaN and Inf give +inf.
    """
    best, nearest = values.shape[0] + 1, 0
    for row in range(held[label]):
        distance = int64(0)
        for j in range(values.shape[0]):
            distance += _differs(values[j], reference[j], stored[label, row], j)
            if distance >= best:
                break
        if distance < best:
            best, nearest = distance, row
    for j in range(values.shape[0]):
        differs = float32(_differs(values[j], reference[j], stored[label, nearest], j))
        out[j] = differs if is_finite(values[j]) else float32(np.inf)
