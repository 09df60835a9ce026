"""What stands before and behind a product of matrices: rows of a block made ready for it, and distances of its result.

A block is rows of values from `first` on. Where it is taken in an order, `order` (rows,) says which row of the block
comes when.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int64

from ..compiling import LABELS, OUT, ROW, VALUES, compiled, inlined, read

_ORDER = read(int64, 1)
_TABLE = read(float32, 2)


@inlined
def square(row):
    """The square of the length of a row, float64."""
    # Four sums, which a processor adds to in one step.
    a = b = c = d = 0.0
    whole = row.shape[0] // 4 * 4
    for k in range(0, whole, 4):
        a += float64(row[k]) ** 2
        b += float64(row[k + 1]) ** 2
        c += float64(row[k + 2]) ** 2
        d += float64(row[k + 3]) ** 2
    for k in range(whole, row.shape[0]):
        a += float64(row[k]) ** 2
    return (a + b) + (c + d)


@compiled(LABELS, int64, int64[::1], int64[::1])
def order_of_classes(labels, first, ends, order):
    """Put the rows of a block in the order of their classes; those of class c end at `ends[c]` there."""
    ends[:] = 0
    for i in range(order.shape[0]):
        ends[labels[first + i]] += 1
    start = 0
    for c in range(ends.shape[0]):
        count, ends[c] = ends[c], start
        start += count
    for i in range(order.shape[0]):
        c = labels[first + i]
        order[ends[c]] = i
        ends[c] += 1


@compiled(VALUES, LABELS, _TABLE, int64, _ORDER, float32[:, ::1])
def from_means(values, labels, means, first, order, out):
    """Rows of a block, in an order, less the mean of their class."""
    for i in range(out.shape[0]):
        at = first + order[i]
        row, mean = values[at], means[labels[at]]
        for j in range(out.shape[1]):
            out[i, j] = row[j] - mean[j]


@compiled(VALUES, ROW, int64, float32[:, ::1])
def from_centre(values, centre, first, out):
    """Rows of a block less one centre for all."""
    for i in range(out.shape[0]):
        row = values[first + i]
        for j in range(out.shape[1]):
            out[i, j] = row[j] - centre[j]


@compiled(VALUES, int64, _ORDER, OUT)
def norms(rows, first, order, out):
    """The norm of each row of a block in an order; infinity where a number is none."""
    for i in range(rows.shape[0]):
        total = square(rows[i])
        out[first + order[i]] = math.sqrt(total) if total >= 0 else np.inf


@compiled(VALUES, LABELS, _TABLE, _TABLE, int64, OUT)
def relative_distance_along(along, labels, targets, offsets, first, out):
    """`relative_distance` of the rows of a block that are along the directions already."""
    for i in range(along.shape[0]):
        c, total = labels[first + i], 0.0
        for k in range(along.shape[1]):
            total += (along[i, k] - targets[c, k]) ** 2
        distance = float32(total + offsets[c, 0])
        out[first + i] = distance if distance >= 0 else float32(np.inf)
