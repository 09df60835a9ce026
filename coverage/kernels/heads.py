"""The outputs of attention heads as two figures each, and the figures in sections that a class never visited.

values: (n, heads * channels), one head behind the other. The figures of a head are the norm of its output and the
angle to a unit vector, `directions` (classes, heads * channels): they have one angle for each cosine, with finer steps
near 1. An output of 0 has the angle of cosine 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, int32, int64, uint8

from .compiling import LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .rows import is_finite

_DIRECTIONS, _GRID, _BITS = read(float32, 2), read(float32, 2), read(uint8, 3)


@inlined
def _norm_and_angle(row, direction):
    squares = along = 0.0
    for j in range(row.shape[0]):
        v = row[j] * 1.0
        squares += v * v
        along += v * direction[j]
    norm = math.sqrt(squares)
    cosine = along / norm if norm > 0 else 0.0
    return float32(norm), float32(math.acos(min(max(cosine, -1.0), 1.0)))


@inlined
def _is_new(figure, scale, base, byte):
    t = np.floor(figure * scale) - base
    within = (t >= float32(0)) & (t < float32(8))
    k = int32(t if within else np.float32(0))
    return int32(not (within & ((int32(byte) >> k) & 1)))


@compiled(VALUES, LABELS, _DIRECTIONS, float32[:, :, ::1])
def head_figures(values, labels, directions, out):
    """Write the norms and the angles of all heads, (n, 2, heads)."""
    heads = out.shape[2]
    channels = values.shape[1] // heads
    for i in range(values.shape[0]):
        for h in range(heads):
            own = slice(h * channels, (h + 1) * channels)
            out[i, 0, h], out[i, 1, h] = _norm_and_angle(values[i, own], directions[labels[i], own])


@inlined
def _new_figures(row, c, h, directions, scale, base, bits):
    channels = row.shape[0] // scale.shape[1]
    own = slice(h * channels, (h + 1) * channels)
    norm, angle = _norm_and_angle(row[own], directions[c, own])
    new = _is_new(norm, scale[0, h], base[0, h], bits[c, 0, h])
    return new + _is_new(angle, scale[1, h], base[1, h], bits[c, 1, h])


@compiled(VALUES, LABELS, _DIRECTIONS, _GRID, _GRID, _BITS, OUT)
def heads_outside(values, labels, directions, scale, base, bits, out):
    """Count the figures in a section where their class has never been; NaN is outside.

    scale, base: (2, heads), the dyadic grids of norms and of angles. bits: (classes, 2, heads).
    """
    for i in range(values.shape[0]):
        deviation = int32(0)
        for h in range(scale.shape[1]):
            deviation += _new_figures(values[i], labels[i], h, directions, scale, base, bits)
        out[i] = deviation


@compiled(ROW, int64, _DIRECTIONS, _GRID, _GRID, _BITS, OUT)
def heads_parts(values, label, directions, scale, base, bits, out):
    """What each head adds, at its first channel; 0 at the others; +inf for NaN and Inf."""
    channels = values.shape[0] // scale.shape[1]
    for j in range(values.shape[0]):
        out[j] = 0 if is_finite(values[j]) else np.inf
    for h in range(scale.shape[1]):
        out[h * channels] += _new_figures(values, label, h, directions, scale, base, bits)
