"""Sections visited, a bit each."""

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, types, uint8

from .compiling import CODES, COLUMNS, LABELS, OUT, ROW, VALUES, compiled, read
from .grids import _moved, _section, dyadic_grid

_BLOCK = 128


@compiled(uint8, types.float64, types.float64, types.float64, types.float64, returns=uint8)
def _move_bits(bits, scale, base, new_scale, new_base):
    ratio = new_scale / scale
    moved = 0
    for k in range(8):
        if (bits >> k) & 1:
            moved |= 1 << _moved(base + k, ratio, new_base, 8)
    return uint8(moved)


@compiled(VALUES, LABELS, float32[::1], float32[::1], float32[::1], float32[::1], uint8[:, ::1], int64, codes=[CODES])
def bitmap_observe(values, labels, low, high, scale, base, bits, sections):
    """Set the bit of each value's section; the grid of a neuron, (neurons,), is shared by all classes."""
    for i in range(values.shape[0]):
        c = labels[i]
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            if not ((low[j] <= v) & (v <= high[j])):
                empty = low[j] > high[j]
                low[j] = min(low[j], v)
                high[j] = max(high[j], v)
                new_scale, new_base = dyadic_grid(low[j], high[j], sections)
                if not empty:
                    for other in range(bits.shape[0]):
                        bits[other, j] = _move_bits(bits[other, j], scale[j], base[j], new_scale, new_base)
                scale[j] = new_scale
                base[j] = new_base
            bits[c, j] |= uint8(1 << _section(v, scale[j], base[j], sections))


@compiled(
    float32[::1], float32[::1], float32[::1], float32[::1], uint8[:, ::1],
    read(float32, 1), read(float32, 1), read(float32, 1), read(float32, 1), read(uint8, 2), int64,
)  # fmt: skip
def bitmap_merge(low, high, scale, base, bits, other_low, other_high, other_scale, other_base, other_bits, sections):
    """Join the other bitmap into the first."""
    for j in range(low.shape[0]):
        if other_low[j] > other_high[j]:
            continue
        empty = low[j] > high[j]
        low[j] = min(low[j], other_low[j])
        high[j] = max(high[j], other_high[j])
        new_scale, new_base = dyadic_grid(low[j], high[j], sections)
        for c in range(bits.shape[0]):
            mine = uint8(0)
            if not empty:
                mine = _move_bits(bits[c, j], scale[j], base[j], new_scale, new_base)
            bits[c, j] = mine | _move_bits(other_bits[c, j], other_scale[j], other_base[j], new_scale, new_base)
        scale[j] = new_scale
        base[j] = new_base


@compiled(VALUES, LABELS, read(float32, 1), read(float32, 1), read(uint8, 2), OUT)
def bitmap_outside(values, labels, scale, base, bits, out):
    """Count the neurons in a section where their class has never been; NaN is outside."""
    for i in range(values.shape[0]):
        c = labels[i]
        outside = int32(0)
        for j in range(values.shape[1]):
            t = np.floor(values[i, j] * scale[j]) - base[j]
            within = (t >= np.float32(0)) & (t < np.float32(8))
            k = int32(t if within else np.float32(0))
            outside += int32(not (within & ((int32(bits[c, j]) >> k) & 1)))
        out[i] = outside


@compiled(uint8, uint8, uint8, uint8, returns=uint8)
def _in_seen_section(code, shift, base, bits):
    k = uint8(uint8(code >> uint8(shift & uint8(7))) - base)
    bit = uint8(uint8(bits >> uint8(k & uint8(7))) & uint8(1))
    return bit if k < uint8(8) else uint8(0)


@compiled(CODES, LABELS, read(uint8, 1), read(uint8, 1), CODES, OUT)
def bitmap_outside_codes(values, labels, shift, base, bits, out):
    """`bitmap_outside` for codes: the section of a code is (code >> shift) - base. shift <= 7 and base <= 248."""
    neurons = values.shape[1]
    whole = neurons // _BLOCK * _BLOCK
    for i in range(values.shape[0]):
        c = labels[i]
        inside = int64(0)
        for start in range(0, whole, _BLOCK):
            some = uint8(0)
            for j in range(start, start + _BLOCK):
                some = uint8(some + _in_seen_section(values[i, j], shift[j], base[j], bits[c, j]))
            inside += int64(some)
        for j in range(whole, neurons):
            inside += int64(_in_seen_section(values[i, j], shift[j], base[j], bits[c, j]))
        out[i] = neurons - inside


@compiled(VALUES, LABELS, read(float32, 1), read(float32, 1), read(uint8, 2), *COLUMNS)
def bitmap_outside_of_columns(values, labels, scale, base, bits, columns, seen, out):
    """`bitmap_outside` of many columns."""
    for i in range(values.shape[0]):
        c, start = labels[i], 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            row = values[i, first : first + end - start]
            outside, bad = int32(0), int32(0)
            for j in range(start, end):
                v = row[j - start]
                t = np.floor(v * scale[j]) - base[j]
                within = (t >= np.float32(0)) & (t < np.float32(8))
                k = int32(t if within else np.float32(0))
                outside += int32(not (within & ((int32(bits[c, j]) >> k) & 1)))
                bad += int32(not (abs(v) <= np.float32(3.4028235e38)))
            covered = bad == 0 and seen[c, column]
            out[i, columns[column, 2]] = np.float32(outside) if covered else np.float32(np.inf)
            start = end


@compiled(ROW, ROW, ROW, read(uint8, 1), OUT)
def bitmap_parts(values, scale, base, bits, out):
    """1 in a section that the class has not visited, else 0."""
    for j in range(values.shape[0]):
        v = values[j]
        t = np.floor(v * scale[j]) - base[j]
        within = (t >= np.float32(0)) & (t < np.float32(8))
        k = int32(t if within else np.float32(0))
        outside = np.float32(not (within & ((int32(bits[j]) >> k) & 1)))
        out[j] = outside if abs(v) <= np.float32(3.4028235e38) else np.float32(np.inf)
