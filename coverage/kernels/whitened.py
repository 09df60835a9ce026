"""Distances from the mean of a class in whitened space; `whitening` is lower triangular, (neurons²,), row by row.

Relative ones, to that mean and to the mean of all samples, take other tables. `centre` (neurons,) is the mean of all
samples. `directions` holds for each of min(classes - 1, neurons) directions a row of neurons, one behind the other.
`targets` (classes, directions) is where a class is along them. `offsets` (classes, 1) is added. Of many columns they
lie beside each other.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, int64

from .compiling import COLUMNS, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .rows import holds_bad, is_finite

_MEAN = read(float32, 2)
_RELATIVE = ROW, ROW, read(float32, 2), read(float32, 2)


@inlined
def _length(row, mean, directions, at, size):
    """The sum of directions[at + j] * (row[j] - mean[j]) over the first `size` neurons, float32."""
    s0 = s1 = s2 = s3 = float32(0)
    whole = size // 4 * 4
    for j in range(0, whole, 4):
        s0 += directions[at + j] * (row[j] - mean[j])
        s1 += directions[at + j + 1] * (row[j + 1] - mean[j + 1])
        s2 += directions[at + j + 2] * (row[j + 2] - mean[j + 2])
        s3 += directions[at + j + 3] * (row[j + 3] - mean[j + 3])
    for j in range(whole, size):
        s0 += directions[at + j] * (row[j] - mean[j])
    return float32((s0 + s1) + (s2 + s3))


@inlined
def _distance(row, mean, whitening):
    total, at = 0.0, 0
    for last in range(row.shape[0]):
        total += _length(row, mean, whitening, at, last + 1) ** 2
        at += row.shape[0]
    return math.sqrt(total)


@compiled(VALUES, LABELS, _MEAN, ROW, OUT)
def whitened_distance(values, labels, mean, whitening, out):
    """Norm of whitening @ (value - mean[class])."""
    for i in range(values.shape[0]):
        out[i] = _distance(values[i], mean[labels[i]], whitening)


@compiled(VALUES, LABELS, _MEAN, ROW, *COLUMNS)
def whitened_distance_of_columns(values, labels, mean, whitening, columns, seen, out):
    """`whitened_distance` of many columns; `whitening` holds their matrices one behind the other."""
    for i in range(values.shape[0]):
        c, start, at = labels[i], 0, 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            row = values[i, first : first + end - start]
            distance = float32(np.inf)
            if seen[c, column] and not holds_bad(row):
                distance = float32(_distance(row, mean[c, start:end], whitening[at:]))
            out[i, columns[column, 2]] = distance
            at += (end - start) ** 2
            start = end


@compiled(ROW, int64, _MEAN, ROW, OUT)
def whitened_parts(values, label, mean, whitening, out):
    """d_j (Σ⁻¹ d)_j, d the distance to the mean: parts of its square, below 0 for one that makes up for others.

    NaN and Inf count as the mean for the other neurons.
    """
    n, mean = values.shape[0], mean[label]
    for j in range(n):
        out[j] = 0
    for row in range(n):
        length = float32(0)
        for j in range(row + 1):
            if is_finite(values[j]):
                length += whitening[row * n + j] * (values[j] - mean[j])
        for j in range(row + 1):
            out[j] += whitening[row * n + j] * length
    for j in range(n):
        out[j] = out[j] * (values[j] - mean[j]) if is_finite(values[j]) else float32(np.inf)


@inlined
def _relative(row, centre, directions, target, offset):
    total, at, size = 0.0, 0, row.shape[0]
    for k in range(target.shape[0]):
        total += (_length(row, centre, directions, at, size) - target[k]) ** 2
        at += size
    distance = float32(total + offset)
    return distance if distance >= 0 else float32(np.inf)  # of numbers whose products overflow


@compiled(VALUES, LABELS, *_RELATIVE, OUT)
def relative_distance(values, labels, centre, directions, targets, offsets, out):
    """Square of the norm of directions @ (value - centre) - target[class], and the offset of the class."""
    for i in range(values.shape[0]):
        c = labels[i]
        out[i] = _relative(values[i], centre, directions, targets[c], offsets[c, 0])


@compiled(VALUES, LABELS, *_RELATIVE, *COLUMNS)
def relative_distance_of_columns(values, labels, centre, directions, targets, offsets, columns, seen, out):
    """`relative_distance` of many columns."""
    for i in range(values.shape[0]):
        c, start, at, first_target = labels[i], 0, 0, 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            size = end - start
            row = values[i, first : first + size]
            last_target = first_target + min(targets.shape[0] - 1, size)
            distance = float32(np.inf)
            if seen[c, column] and not holds_bad(row):
                target = targets[c, first_target:last_target]
                distance = _relative(row, centre[start:end], directions[at:], target, offsets[c, column])
            out[i, columns[column, 2]] = distance
            at += size * (last_target - first_target)
            start, first_target = end, last_target


@compiled(ROW, int64, *_RELATIVE, OUT)
def relative_parts(values, label, centre, directions, targets, offsets, out):
    """d_j (Vᵀ(Vd - 2 target))_j, d the distance to the centre: their sum is what the distance has above its own there.

    NaN and Inf count as the centre for the other neurons.
    """
    n = values.shape[0]
    for j in range(n):
        out[j] = 0
    for k in range(targets.shape[1]):
        length = -2 * targets[label, k]
        for j in range(n):
            if is_finite(values[j]):
                length += directions[k * n + j] * (values[j] - centre[j])
        for j in range(n):
            out[j] += directions[k * n + j] * length
    for j in range(n):
        out[j] = out[j] * (values[j] - centre[j]) if is_finite(values[j]) else float32(np.inf)
