"""The distance to the k-th nearest sample of a bank.

`bank` (samples, directions) holds one sample or more, along the columns of `project` (neurons, directions), which are
at right angles and of length 1; where `project` has no rows, directions are neurons. With fewer than k samples the
farthest counts. `unit` is 1 where a row is divided by its length first. `nearest` and `which` are written to: k
distances and the samples they belong to; so are `row` (neurons,) and `along` (directions,).
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int32, int64

from ..compiling import OUT, ROW, VALUES, compiled, inlined, read
from ..rows import is_finite

_LANES = 16
_TABLE = read(float32, 2)
_NEAREST = float32[::1], int64[::1]


@inlined
def _prepared(row, unit, out):
    scale = 1.0
    if unit:
        total = 0.0
        for j in range(row.shape[0]):
            total += float64(row[j]) ** 2
        length = math.sqrt(total)
        scale = 1 / length if length > 0 else 0.0
    for j in range(row.shape[0]):
        out[j] = float32(row[j] * scale)


@compiled(VALUES, int64, int64, float32[:, ::1])
def prepared(values, first, unit, out):
    """Rows of a block, as many as `out` has, with length 1 or 0 where `unit` is 1. `out` may have more columns."""
    for i in range(out.shape[0]):
        _prepared(values[first + i], unit, out[i])


@inlined
def _square(row, other):
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
def _project(row, project, along):
    along[:] = float32(0)
    for j in range(project.shape[0]):
        for k in range(project.shape[1]):
            along[k] += row[j] * project[j, k]


@inlined
def _kth(row, project, bank, along, nearest, which):
    """The k-th nearest sample of a row that is prepared, which this leaves in `along`."""
    if project.shape[0]:
        _project(row, project, along)
    else:
        along[:] = row
    found = 0
    for sample in range(bank.shape[0]):
        found = _keep(float32(_square(along, bank[sample])), sample, found, nearest, which)
    return which[found - 1]


@compiled(VALUES, _TABLE, _TABLE, int64, float32[::1], float32[::1], *_NEAREST, OUT)
def kth_nearest(values, project, bank, unit, row, along, nearest, which, out):
    """The distance of each row to the k-th nearest sample."""
    for i in range(values.shape[0]):
        _prepared(values[i], unit, row)
        sample = _kth(row, project, bank, along, nearest, which)
        out[i] = math.sqrt(_square(along, bank[sample]))


@compiled(VALUES, VALUES, _TABLE, *_NEAREST, int64, OUT)
def kth_nearest_by_scores(rows, scores, bank, nearest, which, first, out):
    """`kth_nearest` of the rows of a block, written to `out` from `first` on. rows: (n, directions or more).

    scores: (n, samples), lower where a sample is nearer. The distance is worked out anew: little is left of it in sums
    that cancel out. Scores are looked through sixteen at a time, of which hardly any are among the lowest.
    """
    k = nearest.shape[0]
    whole = scores.shape[1] // _LANES * _LANES
    for i in range(rows.shape[0]):
        found, of_row = 0, scores[i]
        for start in range(0, whole, _LANES):
            hits = int32(found < k)
            bound = nearest[k - 1]
            for sample in range(start, start + _LANES):
                hits += int32(of_row[sample] < bound)
            if hits:
                for sample in range(start, start + _LANES):
                    found = _keep(of_row[sample], sample, found, nearest, which)
        for sample in range(whole, scores.shape[1]):
            found = _keep(of_row[sample], sample, found, nearest, which)
        out[first + i] = math.sqrt(_square(rows[i], bank[which[found - 1]]))


@compiled(ROW, _TABLE, _TABLE, int64, float32[::1], float32[::1], *_NEAREST, OUT)
def neighbour_parts(values, project, bank, unit, row, along, nearest, which, out):
    """The squares of what is between a row and the k-th nearest sample, of each neuron.

    Of what is between them, that along the directions. NaN and Inf give +inf, and count as 0 for other neurons.
    """
    for j in range(row.shape[0]):
        out[j] = values[j] if is_finite(values[j]) else float32(0)
    _prepared(out, unit, row)
    sample = _kth(row, project, bank, along, nearest, which)
    for k in range(along.shape[0]):
        along[k] -= bank[sample, k]
    for j in range(row.shape[0]):
        apart = float32(0) if project.shape[0] else along[j]
        for k in range(project.shape[1] if project.shape[0] else 0):
            apart += project[j, k] * along[k]
        out[j] = apart**2 if is_finite(values[j]) else np.inf
