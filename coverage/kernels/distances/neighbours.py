"""The distance to the k-th nearest of the samples of a class.

`bank` (classes, capacity, neurons) holds samples, of which the first `held` (classes,) are there. With fewer than k of
them the farthest counts, and without any the distance is infinite. `unit` is 1 where a row is divided by its length
first; one of zeros stays. `nearest` and `which` are written to: k distances and the samples they belong to; so is `row`
(neurons,).
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int32, int64

from ..compiling import LABELS, OUT, ROW, VALUES, compiled, inlined, read
from ..rows import is_finite
from .in_blocks import square

_LANES = 16
_BANK = read(float32, 3)
_HELD = read(int64, 1)
_NEAREST = float32[::1], int64[::1]


@inlined
def _prepared(row, unit, out):
    scale = 1.0
    if unit:
        length = math.sqrt(square(row))
        scale = 1 / length if length > 0 else 0.0
    for j in range(row.shape[0]):
        out[j] = float32(row[j] * scale)


@compiled(VALUES, int64, read(int64, 1), int64, float32[:, ::1])
def prepared(values, first, order, unit, out):
    """Rows of a block in an order, ready to be compared. `out` may have more columns."""
    for i in range(out.shape[0]):
        _prepared(values[first + order[i]], unit, out[i])


@inlined
def _between(row, other):
    # Four sums, which a processor adds to in one step.
    a = b = c = d = 0.0
    size = other.shape[0]
    whole = size // 4 * 4
    for j in range(0, whole, 4):
        a += (float64(row[j]) - float64(other[j])) ** 2
        b += (float64(row[j + 1]) - float64(other[j + 1])) ** 2
        c += (float64(row[j + 2]) - float64(other[j + 2])) ** 2
        d += (float64(row[j + 3]) - float64(other[j + 3])) ** 2
    for j in range(whole, size):
        a += (float64(row[j]) - float64(other[j])) ** 2
    return (a + b) + (c + d)


@inlined
def _keep(score, sample, found, nearest, which):
    """Put a score among the `found` lowest so far, if it is one of them; how many there are then."""
    k = nearest.shape[0]
    if found == k and not score < nearest[k - 1]:
        return found
    at = found if found < k else k - 1
    while at > 0 and score < nearest[at - 1]:
        nearest[at], which[at] = nearest[at - 1], which[at - 1]
        at -= 1
    nearest[at], which[at] = score, sample
    return min(found + 1, k)


@inlined
def _kth(row, bank, held, nearest, which):
    """The k-th nearest sample of a row that is prepared, -1 without any."""
    found = 0
    for sample in range(held):
        found = _keep(float32(_between(row, bank[sample])), sample, found, nearest, which)
    return which[found - 1] if found else -1


@compiled(VALUES, LABELS, _BANK, _HELD, int64, float32[::1], *_NEAREST, OUT)
def kth_nearest(values, labels, bank, held, unit, row, nearest, which, out):
    """The distance of each row to the k-th nearest sample of its class."""
    for i in range(values.shape[0]):
        c = labels[i]
        _prepared(values[i], unit, row)
        sample = _kth(row, bank[c], held[c], nearest, which)
        out[i] = math.sqrt(_between(row, bank[c, sample])) if sample >= 0 else np.inf


@compiled(VALUES, VALUES, int64, int64, read(float32, 2), *_NEAREST, read(int64, 1), int64, OUT)
def kth_nearest_by_scores(rows, scores, start, end, bank, nearest, which, order, first, out):
    """`kth_nearest` of rows of a block in an order that are all of one class: those from `start` to `end`.

    rows: (n, neurons or more). scores: (n, samples or more), lower where a sample of `bank` (samples, neurons) is
    nearer. The distance is worked out anew: little is left of it in sums that cancel out. Scores are looked through
    sixteen at a time, of which hardly any are among the lowest.
    """
    k, samples = nearest.shape[0], bank.shape[0]
    whole = samples // _LANES * _LANES
    for i in range(start, end):
        found, of_row = 0, scores[i]
        for block in range(0, whole, _LANES):
            hits, bound = int32(found < k), nearest[k - 1]
            for sample in range(block, block + _LANES):
                hits += int32(of_row[sample] < bound)
            if hits:
                for sample in range(block, block + _LANES):
                    found = _keep(of_row[sample], sample, found, nearest, which)
        for sample in range(whole, samples):
            found = _keep(of_row[sample], sample, found, nearest, which)
        out[first + order[i]] = math.sqrt(_between(rows[i], bank[which[found - 1]]))


@compiled(ROW, int64, _BANK, _HELD, int64, float32[::1], *_NEAREST, OUT)
def neighbour_parts(values, label, bank, held, unit, row, nearest, which, out):
    """The squared differences to the k-th nearest sample of the class.

    NaN and Inf give +inf, and count as 0 for other neurons.
    """
    for j in range(row.shape[0]):
        out[j] = values[j] if is_finite(values[j]) else float32(0)
    _prepared(out, unit, row)
    sample = _kth(row, bank[label], held[label], nearest, which)
    for j in range(row.shape[0]):
        part = (row[j] - bank[label, sample, j]) ** 2 if sample >= 0 else np.inf
        out[j] = part if is_finite(values[j]) else np.inf
