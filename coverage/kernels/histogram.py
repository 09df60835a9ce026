"""Counts per section of a dyadic grid, class and neuron."""

from __future__ import annotations

import math

from numba import float32, float64, int64, uint32

from .compiling import CODES, LABELS, VALUES, compiled, read
from .grids import moved, section, widen
from .ranges import is_outside

_TABLE = float32[:, ::1]


@compiled(uint32[::1], float64, float64, float64, float64)
def _move_counts(counts, scale, base, new_scale, new_base):
    sections = counts.shape[0]
    ratio = new_scale / scale
    coarse_base = math.floor(base * ratio)
    if ratio < 1:
        for k in range(sections):
            count = counts[k]
            counts[k] = 0
            counts[moved(base + k, ratio, coarse_base, sections)] += count
    shift = int64(coarse_base - new_base)
    if shift > 0:
        for k in range(sections - 1, -1, -1):
            counts[k] = counts[k - shift] if k >= shift else uint32(0)


@compiled(VALUES, LABELS, _TABLE, _TABLE, _TABLE, _TABLE, uint32[:, :, ::1], codes=[CODES])
def histogram_observe(values, labels, low, high, scale, base, counts):
    """Count the values in a dyadic grid per class and neuron; `counts` is (classes, neurons, sections)."""
    sections = counts.shape[2]
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            v, at = float32(values[i, j]), (labels[i], j)
            if is_outside(v, low[at], high[at]):
                empty, (new_scale, new_base) = widen(low, high, at, v, v, sections)
                if not empty:
                    _move_counts(counts[at], scale[at], base[at], new_scale, new_base)
                scale[at], base[at] = new_scale, new_base
            counts[at][section(v, scale[at], base[at], sections)] += uint32(1)


@compiled(
    _TABLE, _TABLE, _TABLE, _TABLE, uint32[:, :, ::1],
    read(float32, 2), read(float32, 2), read(float32, 2), read(float32, 2), uint32[:, :, ::1],
)  # fmt: skip
def histogram_merge(low, high, scale, base, counts, other_low, other_high, other_scale, other_base, other_counts):
    """Add the other histogram into the first; `other_counts` is left on the common grid."""
    classes, neurons, sections = counts.shape
    for c in range(classes):
        for j in range(neurons):
            at = (c, j)
            if other_low[at] > other_high[at]:
                continue
            empty, (new_scale, new_base) = widen(low, high, at, other_low[at], other_high[at], sections)
            if not empty:
                _move_counts(counts[at], scale[at], base[at], new_scale, new_base)
            _move_counts(other_counts[at], other_scale[at], other_base[at], new_scale, new_base)
            scale[at], base[at] = new_scale, new_base
            for k in range(sections):
                counts[c, j, k] += other_counts[c, j, k]
