"""Distances from the mean of a class in whitened space; `whitening` is lower triangular, (neurons²,), column by column.

Relative ones, to that mean and to the mean of all samples, take other tables. `centre` (neurons,) is the mean of all
samples. `directions` holds for each neuron a row of min(classes - 1, neurons) directions, one behind the other.
`targets` (classes, directions) is where a class is along them. `offsets` (classes, 1) is added. Of many columns they
lie beside each other.
`lengths` is written to: four times as many numbers as a column has neurons, or as many as it has directions. Neurons
are added one after the other to all lengths at once, which a processor does for many lengths in one step and in the
same order everywhere.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, int64

from ..compiling import COLUMNS, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from ..rows import holds_bad, is_finite

_MEAN = read(float32, 2)
_RELATIVE = ROW, ROW, read(float32, 2), read(float32, 2)
_LENGTHS = float32[::1]


@inlined
def _distance(row, mean, whitening, lengths):
    # Every fourth neuron goes to one of four sums, but what is left of the last four before the diagonal to the first.
    # So the first version added, a row after the other, and there are thresholds that were set on its distances.
    size, at = row.shape[0], 0
    lengths[: 4 * size] = float32(0)
    whole = size // 4 * 4
    for j in range(size):
        step, place = row[j] - mean[j], j % 4
        first = min(j - place + 3, size) if j < whole else size
        for k in range(j, first):
            lengths[k] += whitening[at + k] * step
        of_all, below = whitening[at + first : at + size], lengths[place * size + first : (place + 1) * size]
        for k in range(size - first):
            below[k] += of_all[k] * step
        at += size
    total = 0.0
    for k in range(size):
        total += float32((lengths[k] + lengths[size + k]) + (lengths[2 * size + k] + lengths[3 * size + k])) ** 2
    return math.sqrt(total) if total >= 0 else np.inf  # of numbers whose products overflow


@compiled(VALUES, LABELS, _MEAN, ROW, _LENGTHS, OUT)
def whitened_distance(values, labels, mean, whitening, lengths, out):
    """Norm of whitening @ (value - mean[class])."""
    for i in range(values.shape[0]):
        out[i] = _distance(values[i], mean[labels[i]], whitening, lengths)


@compiled(VALUES, LABELS, _MEAN, read(float32, 2), _LENGTHS, OUT)
def whitened_distance_by_class(values, labels, mean, whitenings, lengths, out):
    """`whitened_distance` with a matrix for each class, (classes, neurons²)."""
    for i in range(values.shape[0]):
        out[i] = _distance(values[i], mean[labels[i]], whitenings[labels[i]], lengths)


@compiled(VALUES, LABELS, _MEAN, ROW, _LENGTHS, *COLUMNS)
def whitened_distance_of_columns(values, labels, mean, whitening, lengths, columns, seen, out):
    """`whitened_distance` of many columns; `whitening` holds their matrices one behind the other."""
    for i in range(values.shape[0]):
        c, start, at = labels[i], 0, 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            row = values[i, first : first + end - start]
            distance = float32(np.inf)
            if seen[c, column] and not holds_bad(row):
                distance = float32(_distance(row, mean[c, start:end], whitening[at:], lengths))
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
                length += whitening[j * n + row] * (values[j] - mean[j])
        for j in range(row + 1):
            out[j] += whitening[j * n + row] * length
    for j in range(n):
        out[j] = out[j] * (values[j] - mean[j]) if is_finite(values[j]) else float32(np.inf)


@inlined
def _relative(row, centre, directions, target, offset, lengths):
    rank, size, at = target.shape[0], row.shape[0], 0
    length = lengths[:rank]
    length[:] = float32(0)
    whole = size // 4 * 4
    for j in range(0, whole, 4):
        a, b = row[j] - centre[j], row[j + 1] - centre[j + 1]
        c, d = row[j + 2] - centre[j + 2], row[j + 3] - centre[j + 3]
        of_a, of_b = directions[at : at + rank], directions[at + rank : at + 2 * rank]
        of_c, of_d = directions[at + 2 * rank : at + 3 * rank], directions[at + 3 * rank : at + 4 * rank]
        for k in range(rank):
            length[k] += (of_a[k] * a + of_b[k] * b) + (of_c[k] * c + of_d[k] * d)
        at += 4 * rank
    for j in range(whole, size):
        a, of_a = row[j] - centre[j], directions[at : at + rank]
        for k in range(rank):
            length[k] += of_a[k] * a
        at += rank
    total = 0.0
    for k in range(rank):
        total += (length[k] - target[k]) ** 2
    distance = float32(total + offset)
    return distance if distance >= 0 else float32(np.inf)  # of numbers whose products overflow


@compiled(VALUES, LABELS, *_RELATIVE, _LENGTHS, OUT)
def relative_distance(values, labels, centre, directions, targets, offsets, lengths, out):
    """Square of the norm of directions @ (value - centre) - target[class], and the offset of the class."""
    for i in range(values.shape[0]):
        c = labels[i]
        out[i] = _relative(values[i], centre, directions, targets[c], offsets[c, 0], lengths)


@compiled(VALUES, LABELS, *_RELATIVE, _LENGTHS, *COLUMNS)
def relative_distance_of_columns(values, labels, centre, directions, targets, offsets, lengths, columns, seen, out):
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
                target, offset = targets[c, first_target:last_target], offsets[c, column]
                distance = _relative(row, centre[start:end], directions[at:], target, offset, lengths)
            out[i, columns[column, 2]] = distance
            at += size * (last_target - first_target)
            start, first_target = end, last_target


@compiled(ROW, int64, *_RELATIVE, OUT)
def relative_parts(values, label, centre, directions, targets, offsets, out):
    """d_j (Vᵀ(Vd - 2 target))_j, d the distance to the centre: their sum is what the distance has above its own there.

    NaN and Inf count as the centre for the other neurons.
    """
    n, rank = values.shape[0], targets.shape[1]
    for j in range(n):
        out[j] = 0
    for k in range(rank):
        length = -2 * targets[label, k]
        for j in range(n):
            if is_finite(values[j]):
                length += directions[j * rank + k] * (values[j] - centre[j])
        for j in range(n):
            out[j] += directions[j * rank + k] * length
    for j in range(n):
        out[j] = out[j] * (values[j] - centre[j]) if is_finite(values[j]) else float32(np.inf)
