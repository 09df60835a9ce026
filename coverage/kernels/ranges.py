"""How far values lie outside of an interval per class and neuron."""

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, uint8

from .compiling import CODES, COLUMNS, LABELS, OUT, ROW, VALUES, compiled, read

# Codes are compared as bytes, and counted in bytes over a block that cannot overflow one: 32 neurons an instruction.
_BLOCK = 128


@compiled(VALUES, LABELS, float32[:, ::1], float32[:, ::1], codes=[CODES])
def range_observe(values, labels, low, high):
    """Widen `low` and `high` (classes, neurons) by the values."""
    for i in range(values.shape[0]):
        c = labels[i]
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            low[c, j] = min(low[c, j], v)
            high[c, j] = max(high[c, j], v)


@compiled(VALUES, LABELS, read(float32, 2), read(float32, 2), OUT)
def range_outside(values, labels, low, high, out):
    """Count the neurons outside [low, high] of the row's class; NaN is outside."""
    for i in range(values.shape[0]):
        c = labels[i]
        outside = int32(0)
        for j in range(values.shape[1]):
            v = values[i, j]
            outside += int32(not ((low[c, j] <= v) & (v <= high[c, j])))
        out[i] = outside


@compiled(VALUES, LABELS, read(float32, 2), read(float32, 2), read(float32, 2), OUT, codes=[CODES])
def range_magnitude(values, labels, low, high, inverse_width, out):
    """Sum over neurons how far they lie outside [low, high], times `inverse_width` (all (classes, neurons))."""
    for i in range(values.shape[0]):
        c = labels[i]
        total = 0.0
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            beyond = max(low[c, j] - v, v - high[c, j])
            if beyond > 0:
                total += beyond * inverse_width[c, j]
        out[i] = total


@compiled(uint8, uint8, uint8, returns=uint8)
def _is_outside(code, low, high):
    return uint8(not ((low <= code) & (code <= high)))


@compiled(CODES, LABELS, CODES, CODES, OUT)
def range_outside_codes(values, labels, low, high, out):
    """`range_outside` for codes, with bounds in codes."""
    whole = values.shape[1] // _BLOCK * _BLOCK
    for i in range(values.shape[0]):
        c = labels[i]
        outside = int64(0)
        for start in range(0, whole, _BLOCK):
            some = uint8(0)
            for j in range(start, start + _BLOCK):
                some = uint8(some + _is_outside(values[i, j], low[c, j], high[c, j]))
            outside += int64(some)
        for j in range(whole, values.shape[1]):
            outside += int64(_is_outside(values[i, j], low[c, j], high[c, j]))
        out[i] = outside


@compiled(VALUES, LABELS, read(float32, 2), read(float32, 2), *COLUMNS)
def range_outside_of_columns(values, labels, low, high, columns, seen, out):
    """`range_outside` of many columns."""
    for i in range(values.shape[0]):
        c, start = labels[i], 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            row = values[i, first : first + end - start]
            outside, bad = int32(0), int32(0)
            for j in range(start, end):
                v = row[j - start]
                outside += int32(not ((low[c, j] <= v) & (v <= high[c, j])))
                bad += int32(not (abs(v) <= np.float32(3.4028235e38)))
            covered = bad == 0 and seen[c, column]
            out[i, columns[column, 2]] = np.float32(outside) if covered else np.float32(np.inf)
            start = end


@compiled(ROW, ROW, ROW, OUT)
def range_parts(values, low, high, out):
    """1 outside the range, else 0."""
    for j in range(values.shape[0]):
        v = values[j]
        outside = np.float32(not ((low[j] <= v) & (v <= high[j])))
        out[j] = outside if abs(v) <= np.float32(3.4028235e38) else np.float32(np.inf)
