"""Sections visited, a bit each."""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, uint8

from .compiling import CODES, COLUMNS, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .grids import moved, section, widen
from .loops import parts, total, total_of_codes, total_of_columns
from .ranges import is_outside

_BITMAP = ROW, ROW, CODES


@compiled(uint8, float64, float64, float64, float64, returns=uint8)
def _move_bits(bits, scale, base, new_scale, new_base):
    if bits == 0:  # as where nothing was observed, whose scale is 0
        return uint8(0)
    ratio = new_scale / scale
    result = 0
    for k in range(8):
        if (bits >> k) & 1:
            result |= 1 << moved(base + k, ratio, new_base, 8)
    return uint8(result)


@compiled(VALUES, LABELS, float32[::1], float32[::1], float32[::1], float32[::1], uint8[:, ::1], int64, codes=[CODES])
def bitmap_observe(values, labels, low, high, scale, base, bits, sections):
    """Set the bit of each value's section; the grid of a neuron, (neurons,), is shared by all classes."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            if is_outside(v, low[j], high[j]):
                _, (new_scale, new_base) = widen(low, high, j, v, v, sections)
                for c in range(bits.shape[0]):
                    bits[c, j] = _move_bits(bits[c, j], scale[j], base[j], new_scale, new_base)
                scale[j], base[j] = new_scale, new_base
            bits[labels[i], j] |= uint8(1 << section(v, scale[j], base[j], sections))


@compiled(
    float32[::1], float32[::1], float32[::1], float32[::1], uint8[:, ::1], ROW, ROW, ROW, ROW, CODES, int64
)  # fmt: skip
def bitmap_merge(low, high, scale, base, bits, other_low, other_high, other_scale, other_base, other_bits, sections):
    """Join the other bitmap into the first."""
    for j in range(low.shape[0]):
        if other_low[j] > other_high[j]:
            continue
        _, (new_scale, new_base) = widen(low, high, j, other_low[j], other_high[j], sections)
        for c in range(bits.shape[0]):
            mine = _move_bits(bits[c, j], scale[j], base[j], new_scale, new_base)
            bits[c, j] = mine | _move_bits(other_bits[c, j], other_scale[j], other_base[j], new_scale, new_base)
        scale[j], base[j] = new_scale, new_base


@inlined
def _outside(value, tables, c, j):
    scale, base, bits = tables
    t = np.floor(value * scale[j]) - base[j]
    within = (t >= float32(0)) & (t < float32(8))
    k = int32(t if within else np.float32(0))
    return int32(not (within & ((int32(bits[c, j]) >> k) & 1)))


@inlined
def _code_outside(code, tables, c, j):
    shift, base, bits = tables
    k = uint8(uint8(code >> uint8(shift[j] & uint8(7))) - base[j])
    bit = uint8(uint8(bits[c, j] >> uint8(k & uint8(7))) & uint8(1))
    return uint8(not (bit & uint8(k < uint8(8))))


@compiled(VALUES, LABELS, *_BITMAP, OUT)
def bitmap_outside(values, labels, scale, base, bits, out):
    """Count the neurons in a section where their class has never been; NaN is outside."""
    total(_outside, int32(0), values, labels, (scale, base, bits), out)


@compiled(CODES, LABELS, read(uint8, 1), read(uint8, 1), CODES, OUT)
def bitmap_outside_codes(values, labels, shift, base, bits, out):
    """`bitmap_outside` for codes: the section of a code is (code >> shift) - base. shift <= 7 and base <= 248."""
    total_of_codes(_code_outside, values, labels, (shift, base, bits), out)


@compiled(VALUES, LABELS, *_BITMAP, *COLUMNS)
def bitmap_outside_of_columns(values, labels, scale, base, bits, columns, seen, out):
    """`bitmap_outside` of many columns."""
    total_of_columns(_outside, int32(0), values, labels, (scale, base, bits), columns, seen, out)


@compiled(ROW, int64, *_BITMAP, OUT)
def bitmap_parts(values, label, scale, base, bits, out):
    """1 in a section that the class has not visited, else 0."""
    parts(_outside, values, label, (scale, base, bits), out)
