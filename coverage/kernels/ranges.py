"""How far values lie outside of an interval per class and neuron, or of the nearest of several boxes."""

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, uint8

from .compiling import CODES, COLUMNS, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .loops import parts, total, total_of_codes, total_of_columns
from .rows import is_finite

_BOUNDS = read(float32, 2), read(float32, 2)
_BOXES = read(float32, 3), read(float32, 3), read(float32, 2)
"""`low` and `high` (classes, boxes, neurons), `inverse_width` (classes, neurons)."""


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
    """Widen `low` and `high` (classes, neurons) by the values.

    -0 becomes 0: which of them an extreme is would depend on the order.
    """
    for i in range(values.shape[0]):
        c = labels[i]
        for j in range(values.shape[1]):
            v = float32(values[i, j]) + float32(0)
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


@inlined
def _beyond(value, low, high, inverse_width):
    return max(low - value, value - high, float32(0)) * inverse_width


@inlined
def _to_box(row, low, high, inverse_width):
    s0 = s1 = s2 = s3 = float32(0)
    whole = row.shape[0] // 4 * 4
    for j in range(0, whole, 4):
        s0 += _beyond(row[j], low[j], high[j], inverse_width[j])
        s1 += _beyond(row[j + 1], low[j + 1], high[j + 1], inverse_width[j + 1])
        s2 += _beyond(row[j + 2], low[j + 2], high[j + 2], inverse_width[j + 2])
        s3 += _beyond(row[j + 3], low[j + 3], high[j + 3], inverse_width[j + 3])
    for j in range(whole, row.shape[0]):
        s0 += _beyond(row[j], low[j], high[j], inverse_width[j])
    return float32((s0 + s1) + (s2 + s3))


@compiled(VALUES, LABELS, *_BOXES, OUT)
def box_distance(values, labels, low, high, inverse_width, out):
    """How far each row lies outside the nearest box of its class: the sum over neurons, times `inverse_width`."""
    for i in range(values.shape[0]):
        c, nearest = labels[i], float32(np.inf)
        for box in range(low.shape[1]):
            nearest = min(nearest, _to_box(values[i], low[c, box], high[c, box], inverse_width[c]))
        out[i] = nearest


@compiled(ROW, int64, *_BOXES, OUT)
def box_parts(values, label, low, high, inverse_width, out):
    """What each neuron adds to the distance to the nearest box, +inf for NaN and Inf; of equally near ones the first.

    Where a neuron is NaN no box is nearer than the first.
    """
    best, nearest = float32(np.inf), 0
    for box in range(low.shape[1]):
        distance = _to_box(values, low[label, box], high[label, box], inverse_width[label])
        if distance < best:
            best, nearest = distance, box
    for j in range(values.shape[0]):
        part = _beyond(values[j], low[label, nearest, j], high[label, nearest, j], inverse_width[label, j])
        out[j] = part if is_finite(values[j]) else float32(np.inf)
