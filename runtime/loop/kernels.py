"""What a loop asks of every frame: whether it is broken or frozen, and what to count of it."""

from __future__ import annotations

import functools

import numpy as np
from numba import float64, int32, int64, uint32, uint64
from numba.np.numpy_support import from_dtype

from ...coverage.kernels.compiling import compiled, read


def _frame_facts(frame, exponent, last):
    """How many frames in a row had the bytes of this one; -1 where it holds NaN or Inf, -2 where it is of one colour.

    Of three axes the first or the last is that of the colours, if it has at most 4; of more axes any is. exponent: (1,)
    unsigned of the size of a value, the bits of the exponent, 0 for integers. last: (2,) uint64, kept from frame to
    frame: a digest, which is the sum of all values times pseudo-random weights in 64 bits, and how many frames in a row
    had it.
    """
    words, highest = frame.reshape(frame.size).view(exponent.dtype), exponent[0]
    plain, inner = False, 1
    for back in range(frame.ndim + 1):  # the axis of the colours, from the last to the first, then none
        colours, size = 1, words.shape[0]
        if back < frame.ndim:
            axis = frame.ndim - 1 - back
            colours, size = frame.shape[axis], inner
            inner *= colours
            if frame.ndim < 3 or words.shape[0] <= 4 or colours > 4 or (frame.ndim == 3 and axis == 1):
                continue
        differs, block = False, 0
        while block < words.shape[0] and not differs:
            for k in range(colours):
                for i in range(block + k * size, block + (k + 1) * size):
                    if words[i] != words[k * size]:
                        differs = True
                        break
                if differs:
                    break
            block += colours * size
        plain |= not differs
    bad, digest = int32(0), uint64(0)
    for i in range(words.shape[0]):
        word = words[i]
        bad += int32((word & highest) == highest)
        upper = uint32(uint64(word) >> uint64(32))
        folded = uint32(word) ^ uint32(upper * uint32(0x27D4EB2F)) ^ uint32(0x9E3779B9)
        weight = uint32(uint32(i) * uint32(0x85EBCA6B))
        weight = uint32((weight ^ (weight >> uint32(15))) * uint32(0xC2B2AE35)) | uint32(1)
        digest += uint64(folded) * uint64(weight)
    last[1] = last[1] + uint64(1) if last[0] == digest else uint64(1)
    last[0] = digest
    if bad != 0 and highest != 0:
        return int64(-1)
    return int64(-2) if plain else int64(last[1])


@functools.cache
def frame_facts(dtype, dimensions):
    """`_frame_facts` for frames of a dtype, any but float16, and a number of axes; compiled when first asked for."""
    word = from_dtype(np.dtype(f"u{dtype.itemsize}"))
    return compiled(read(from_dtype(dtype), dimensions), read(word, 1), uint64[::1], returns=int64)(_frame_facts)


_ARRAYS = int64[::1], int64[::1], int64[::1], float64[::1], float64[::1]


@compiled(*_ARRAYS, float64, int64, float64, float64, float64, returns=int64)
def count_frame(counters, margins, latencies, spent, scores, deadline, status, score, threshold, microseconds):
    """Count one frame; how many there were.

    counters: frames, warnings, alarms, faults, stale frames, deadline misses; status: 0 OK to 4 STALE. margins: of
    score / threshold below FAULT, in sixteenths, the last for all beyond and what is no number. latencies: whole
    microseconds below 8, then four buckets to an octave, the last for all beyond. spent: sum and largest. scores: score
    and threshold of this frame, and the sum of all finite score / threshold below FAULT. deadline: in microseconds. A
    latency below 0 or NaN counts as 0.
    """
    counters[0] += 1
    scores[0], scores[1] = score, threshold
    if status > 0:
        counters[status] += 1
    if status < 3:
        last = margins.shape[0] - 1
        steps = score * 16 / threshold if threshold > 0 else 0.0 if score == 0 else np.inf
        margins[int(steps) if 0 <= steps < last else last] += 1
        if steps < np.inf:
            scores[2] += steps / 16
    if microseconds > deadline:
        counters[5] += 1
    if not microseconds > 0:
        microseconds = 0.0
    spent[0] += microseconds
    spent[1] = max(spent[1], microseconds)
    last = latencies.shape[0] - 1
    whole, octave = int64(min(microseconds, 9e18)), 0
    while whole >> octave > 7:
        octave += 1
    latencies[min(4 * octave + (whole >> octave), last)] += 1
    return counters[0]
