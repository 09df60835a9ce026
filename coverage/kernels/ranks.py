"""Which neurons are the highest of a row."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, uint8, uint32

from .compiling import CODES, LABELS, OUT, VALUES, compiled, read


@compiled(read(float32, 1), int64[::1], codes=[read(uint8, 1)])
def _top_ranks(row, top):
    """Fill `top` with the indices of the highest values, highest first; of equal ones the lower index first."""
    held = 0
    for j in range(row.shape[0]):
        v = row[j]
        if held == top.shape[0] and not v > row[top[held - 1]]:
            continue
        k = held if held < top.shape[0] else held - 1
        while k > 0 and v > row[top[k - 1]]:
            top[k] = top[k - 1]
            k -= 1
        top[k] = j
        held = min(held + 1, top.shape[0])


@compiled(VALUES, LABELS, uint32[:, ::1], int64, codes=[CODES])
def rank_observe(values, labels, counts, top):
    """Count per class and neuron (classes, neurons) in how many rows it is among the `top` highest."""
    ranked = np.zeros(top, np.int64)
    for i in range(values.shape[0]):
        _top_ranks(values[i], ranked)
        for j in ranked:
            counts[labels[i], j] += uint32(1)


@compiled(VALUES, LABELS, read(float32, 2), read(float32, 1), int64[::1], OUT, codes=[CODES])
def rank_cost(values, labels, cost, weights, ranked, out):
    """Sum weights[rank] * cost[class, neuron] over the highest neurons; `ranked` is scratch of as many."""
    for i in range(values.shape[0]):
        _top_ranks(values[i], ranked)
        total = 0.0
        for rank in range(ranked.shape[0]):
            total += weights[rank] * cost[labels[i], ranked[rank]]
        out[i] = total
