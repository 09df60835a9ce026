"""The loops over rows and neurons, written once; a kernel inlines one of them with its cost of a neuron.

`cost(value, tables, c, j)` is what neuron j adds to the deviation of a sample of class c. `zero` starts the sum and
gives its type.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, uint8, uint64

from .compiling import inlined
from .rows import is_finite

# Codes are counted in bytes over a block that cannot overflow one: 32 neurons an instruction.
_BLOCK = 128


@inlined
def total(cost, zero, values, labels, tables, out):
    """Sum the cost over the neurons of each row."""
    for i in range(values.shape[0]):
        c, deviation = labels[i], zero
        for j in range(values.shape[1]):
            deviation += cost(float32(values[i, j]), tables, c, j)
        out[i] = deviation


@inlined
def total_of_columns(cost, zero, values, labels, tables, columns, seen, out):
    """`total` of many columns, see `COLUMNS`."""
    for i in range(values.shape[0]):
        c, start = labels[i], 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            row = values[i, first : first + end - start]
            deviation, bad = zero, int32(0)
            for k in range(end - start):
                deviation += cost(row[k], tables, c, uint64(start + k))  # unsigned: a signed index is not vectorised
                bad += int32(not is_finite(row[k]))
            covered = bad == 0 and seen[c, column]
            out[i, columns[column, 2]] = float32(deviation) if covered else float32(np.inf)
            start = end


@inlined
def parts(cost, values, label, tables, out):
    """Write the cost of each neuron of one sample, +inf for NaN and Inf."""
    for j in range(values.shape[0]):
        part = float32(cost(values[j], tables, label, j))
        out[j] = part if is_finite(values[j]) else float32(np.inf)


@inlined
def total_of_codes(cost, values, labels, tables, out):
    """`total` of a cost that is 0 or 1, of codes."""
    neurons = values.shape[1]
    whole = neurons // _BLOCK * _BLOCK
    for i in range(values.shape[0]):
        c, deviation = labels[i], int64(0)
        for start in range(0, whole, _BLOCK):
            some = uint8(0)
            for j in range(start, start + _BLOCK):
                some = uint8(some + cost(values[i, j], tables, c, j))
            deviation += int64(some)
        for j in range(whole, neurons):
            deviation += int64(cost(values[i, j], tables, c, j))
        out[i] = deviation
