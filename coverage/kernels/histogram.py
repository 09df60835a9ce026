"""Counts per section of a dyadic grid, class and neuron."""

from __future__ import annotations

import math

from numba import float32, int64, types, uint32

from .compiling import CODES, LABELS, VALUES, compiled, read
from .grids import _moved, _section, dyadic_grid


@compiled(uint32[::1], types.float64, types.float64, types.float64, types.float64)
def _move_counts(counts, scale, base, new_scale, new_base):
    sections = counts.shape[0]
    ratio = new_scale / scale
    coarse_base = math.floor(base * ratio)
    if ratio < 1:
        for k in range(sections):
            count = counts[k]
            counts[k] = 0
            counts[_moved(base + k, ratio, coarse_base, sections)] += count
    shift = int64(coarse_base - new_base)
    if shift > 0:
        for k in range(sections - 1, -1, -1):
            counts[k] = counts[k - shift] if k >= shift else uint32(0)


@compiled(
    VALUES, LABELS, float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], uint32[:, :, ::1],
    codes=[CODES],
)  # fmt: skip
def histogram_observe(values, labels, low, high, scale, base, counts):
    """Count the values in a dyadic grid per class and neuron; `counts` is (classes, neurons, sections)."""
    sections = counts.shape[2]
    for i in range(values.shape[0]):
        c = labels[i]
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            if not ((low[c, j] <= v) & (v <= high[c, j])):
                empty = low[c, j] > high[c, j]
                low[c, j] = min(low[c, j], v)
                high[c, j] = max(high[c, j], v)
                new_scale, new_base = dyadic_grid(low[c, j], high[c, j], sections)
                if not empty:
                    _move_counts(counts[c, j], scale[c, j], base[c, j], new_scale, new_base)
                scale[c, j] = new_scale
                base[c, j] = new_base
            counts[c, j, _section(v, scale[c, j], base[c, j], sections)] += uint32(1)


@compiled(
    float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], uint32[:, :, ::1],
    read(float32, 2), read(float32, 2), read(float32, 2), read(float32, 2), uint32[:, :, ::1],
)  # fmt: skip
def histogram_merge(low, high, scale, base, counts, other_low, other_high, other_scale, other_base, other_counts):
    """Add the other histogram into the first; `other_counts` is left on the common grid."""
    classes, neurons, sections = counts.shape
    for c in range(classes):
        for j in range(neurons):
            if other_low[c, j] > other_high[c, j]:
                continue
            empty = low[c, j] > high[c, j]
            low[c, j] = min(low[c, j], other_low[c, j])
            high[c, j] = max(high[c, j], other_high[c, j])
            new_scale, new_base = dyadic_grid(low[c, j], high[c, j], sections)
            if not empty:
                _move_counts(counts[c, j], scale[c, j], base[c, j], new_scale, new_base)
            _move_counts(other_counts[c, j], other_scale[c, j], other_base[c, j], new_scale, new_base)
            scale[c, j] = new_scale
            base[c, j] = new_base
            for k in range(sections):
                counts[c, j, k] += other_counts[c, j, k]
