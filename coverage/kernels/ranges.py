"""How far values lie outside of an interval per class and neuron."""

from __future__ import annotations

from numba import float32, int32, int64, uint8

from .compiling import CODES, COLUMNS, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .loops import parts, total, total_of_codes, total_of_columns

_BOUNDS = read(float32, 2), read(float32, 2)


@inlined
def is_outside(value, low, high):
    """Whether a value lies outside [low, high]; NaN does."""
    return not ((low <= value) & (value <= high))


@inlined
def _outside(value, tables, c, j):
    low, high = tables
    return int32(is_outside(value, low[c, j], high[c, j]))


@inlined
def _code_outside(code, tables, c, j):
    low, high = tables
    return uint8(is_outside(code, low[c, j], high[c, j]))


@compiled(VALUES, LABELS, float32[:, ::1], float32[:, ::1], codes=[CODES])
def range_observe(values, labels, low, high):
    """Widen `low` and `high` (classes, neurons) by the values."""
    for i in range(values.shape[0]):
        c = labels[i]
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            low[c, j] = min(low[c, j], v)
            high[c, j] = max(high[c, j], v)


@compiled(VALUES, LABELS, *_BOUNDS, OUT)
def range_outside(values, labels, low, high, out):
    """Count the neurons outside [low, high] of the row's class; NaN is outside."""
    total(_outside, int32(0), values, labels, (low, high), out)


@compiled(CODES, LABELS, CODES, CODES, OUT)
def range_outside_codes(values, labels, low, high, out):
    """`range_outside` for codes, with bounds in codes."""
    total_of_codes(_code_outside, values, labels, (low, high), out)


@compiled(VALUES, LABELS, *_BOUNDS, *COLUMNS)
def range_outside_of_columns(values, labels, low, high, columns, seen, out):
    """`range_outside` of many columns."""
    total_of_columns(_outside, int32(0), values, labels, (low, high), columns, seen, out)


@compiled(ROW, int64, *_BOUNDS, OUT)
def range_parts(values, label, low, high, out):
    """1 outside the range, else 0."""
    parts(_outside, values, label, (low, high), out)


@compiled(VALUES, LABELS, *_BOUNDS, read(float32, 2), OUT, codes=[CODES])
def range_magnitude(values, labels, low, high, inverse_width, out):
    """Sum over neurons how far they lie outside [low, high], times `inverse_width` (all (classes, neurons))."""
    for i in range(values.shape[0]):
        c, distance = labels[i], 0.0
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            beyond = max(low[c, j] - v, v - high[c, j])
            if beyond > 0:
                distance += beyond * inverse_width[c, j]
        out[i] = distance
