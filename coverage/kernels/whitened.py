"""Distances from the mean of a class in whitened space."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, int32

from .compiling import COLUMNS, LABELS, OUT, ROW, VALUES, compiled, read


@compiled(VALUES, LABELS, read(float32, 2), read(float32, 2), OUT)
def whitened_distance(values, labels, mean, whitening, out):
    """Norm of whitening @ (value - mean[class]); `whitening` is lower triangular, (neurons, neurons)."""
    for i in range(values.shape[0]):
        c = labels[i]
        total = 0.0
        for row in range(whitening.shape[0]):
            s0 = s1 = s2 = s3 = np.float32(0)
            whole = (row + 1) // 4 * 4
            for j in range(0, whole, 4):
                s0 += whitening[row, j] * (values[i, j] - mean[c, j])
                s1 += whitening[row, j + 1] * (values[i, j + 1] - mean[c, j + 1])
                s2 += whitening[row, j + 2] * (values[i, j + 2] - mean[c, j + 2])
                s3 += whitening[row, j + 3] * (values[i, j + 3] - mean[c, j + 3])
            for j in range(whole, row + 1):
                s0 += whitening[row, j] * (values[i, j] - mean[c, j])
            total += float32((s0 + s1) + (s2 + s3)) ** 2
        out[i] = math.sqrt(total)


@compiled(VALUES, LABELS, read(float32, 2), read(float32, 1), *COLUMNS)
def whitened_distance_of_columns(values, labels, mean, whitening, columns, seen, out):
    """`whitened_distance` of many columns; `whitening` holds their matrices one behind the other, row by row."""
    for i in range(values.shape[0]):
        c, start, place = labels[i], 0, 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            total, bad = 0.0, int32(0)
            for j in range(end - start):
                bad += int32(not (abs(values[i, first + j]) <= np.float32(3.4028235e38)))
            for row in range(end - start):
                s0 = s1 = s2 = s3 = np.float32(0)
                whole = (row + 1) // 4 * 4
                for k in range(0, whole, 4):
                    j, v = start + k, first + k
                    s0 += whitening[place + k] * (values[i, v] - mean[c, j])
                    s1 += whitening[place + k + 1] * (values[i, v + 1] - mean[c, j + 1])
                    s2 += whitening[place + k + 2] * (values[i, v + 2] - mean[c, j + 2])
                    s3 += whitening[place + k + 3] * (values[i, v + 3] - mean[c, j + 3])
                for k in range(whole, row + 1):
                    s0 += whitening[place + k] * (values[i, first + k] - mean[c, start + k])
                total += float32((s0 + s1) + (s2 + s3)) ** 2
                place += end - start
            covered = bad == 0 and seen[c, column]
            out[i, columns[column, 2]] = np.float32(math.sqrt(total)) if covered else np.float32(np.inf)
            start = end


@compiled(ROW, ROW, read(float32, 2), OUT)
def whitened_parts(values, mean, whitening, out):
    """d_j (Σ⁻¹ d)_j, d the distance to the mean: parts of its square, below 0 for one that makes up for others.

    NaN and Inf count as the mean for the other neurons.
    """
    n = values.shape[0]
    for j in range(n):
        out[j] = 0
    for row in range(n):
        length = np.float32(0)
        for j in range(row + 1):
            if abs(values[j]) <= np.float32(3.4028235e38):
                length += whitening[row, j] * (values[j] - mean[j])
        for j in range(row + 1):
            out[j] += whitening[row, j] * length
    for j in range(n):
        finite = abs(values[j]) <= np.float32(3.4028235e38)
        out[j] = out[j] * (values[j] - mean[j]) if finite else np.float32(np.inf)
