"""Distances from the mean of a class in whitened space; `whitening` is lower triangular, (neurons²,), row by row."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, int64

from .compiling import COLUMNS, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .rows import holds_bad, is_finite

_MEAN = read(float32, 2)


@inlined
def _distance(row, mean, whitening):
    total, at = 0.0, 0
    for last in range(row.shape[0]):
        s0 = s1 = s2 = s3 = float32(0)
        whole = (last + 1) // 4 * 4
        for j in range(0, whole, 4):
            s0 += whitening[at + j] * (row[j] - mean[j])
            s1 += whitening[at + j + 1] * (row[j + 1] - mean[j + 1])
            s2 += whitening[at + j + 2] * (row[j + 2] - mean[j + 2])
            s3 += whitening[at + j + 3] * (row[j + 3] - mean[j + 3])
        for j in range(whole, last + 1):
            s0 += whitening[at + j] * (row[j] - mean[j])
        total += float32((s0 + s1) + (s2 + s3)) ** 2
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
