"""All compiled loops: explicit signatures, no GIL, no fastmath, results written to the caller's buffers.

Names: `values` (n, neurons) float32, `labels` (n,) int64 in [0, classes), `out` (n,) float32. Where a kernel has a
second signature, `values` may be uint8, the codes of a quantised tap, and the result is that of the same numbers as
float32. Compiled when this module is imported (from numba's cache after the first time), so that nothing compiles in
a loop and a wrong dtype or stride raises TypeError at once. Labels are not checked here: `labels_within` is for that.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import float32, float64, int32, int64, njit, types, uint8, uint32, uint64
from numba.np.numpy_support import from_dtype


def _read(dtype, dimensions: int) -> types.Array:
    return types.Array(dtype, dimensions, "C", readonly=True)


def _compile(*arguments, returns=types.void, codes=(), division="python"):
    """Compile for the arguments given, and once more with the first of them replaced by `codes`.

    division: by 0, ``python`` to raise, ``numpy`` for infinity and NaN.
    """

    def decorate(function):
        signatures = [returns(*arguments)]
        if codes:
            signatures.append(returns(*codes, *arguments[len(codes) :]))
        try:
            return njit(signatures, nogil=True, cache=True, error_model=division)(function)
        except RuntimeError:  # numba finds no folder to cache in: a read-only image without HOME
            return njit(signatures, nogil=True, error_model=division)(function)

    return decorate


_VALUES, _LABELS, _OUT = _read(float32, 2), _read(int64, 1), float32[::1]
_CODES = _read(uint8, 2)
_LOWEST_EXPONENT, _HIGHEST_EXPONENT = -125, 128


@_compile(_LABELS, int64, returns=types.boolean)
def labels_within(labels, classes):
    """Whether every label lies in [0, classes)."""
    for i in range(labels.shape[0]):
        if labels[i] < 0 or labels[i] >= classes:
            return False
    return True


@_compile(_VALUES, returns=int64)
def first_non_finite_row(values):
    """The index of the first row that holds NaN or Inf, or -1."""
    for i in range(values.shape[0]):
        bad = int32(0)
        for j in range(values.shape[1]):
            bad += int32(not (abs(values[i, j]) <= np.float32(3.4028235e38)))
        if bad:
            return i
    return -1


@_compile(_VALUES, _LABELS, _read(int64, 1), _OUT)
def alarm_uncovered_rows(values, labels, counts, out):
    """Set `out` to +inf where the row holds NaN or Inf or where its class was never observed."""
    for i in range(values.shape[0]):
        bad = int32(0)
        for j in range(values.shape[1]):
            bad += int32(not (abs(values[i, j]) <= np.float32(3.4028235e38)))
        if bad or counts[labels[i]] == 0:
            out[i] = np.inf


@_compile(_LABELS, _read(int64, 1), _OUT)
def alarm_unseen_classes(labels, counts, out):
    """Set `out` to +inf where the row's class was never observed: `alarm_uncovered_rows` for codes."""
    for i in range(labels.shape[0]):
        if counts[labels[i]] == 0:
            out[i] = np.inf


@_compile(_VALUES, _LABELS, float32[:, ::1], float32[:, ::1], codes=[_CODES])
def range_observe(values, labels, low, high):
    """Widen `low` and `high` (classes, neurons) by the values."""
    for i in range(values.shape[0]):
        c = labels[i]
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            low[c, j] = min(low[c, j], v)
            high[c, j] = max(high[c, j], v)


@_compile(_VALUES, _LABELS, _read(float32, 2), _read(float32, 2), _OUT)
def range_outside(values, labels, low, high, out):
    """Count the neurons outside [low, high] of the row's class; NaN is outside."""
    for i in range(values.shape[0]):
        c = labels[i]
        outside = int32(0)
        for j in range(values.shape[1]):
            v = values[i, j]
            outside += int32(not ((low[c, j] <= v) & (v <= high[c, j])))
        out[i] = outside


@_compile(_VALUES, _LABELS, _read(float32, 2), _read(float32, 2), _read(float32, 2), _OUT, codes=[_CODES])
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


# Dyadic grids: sections of width 2**-e at multiples of that width, `scale` = 2**e, `base` = index of the first.
# The grid is the finest of that kind that spans [low, high] in the given number of sections, so it depends on the
# extremes alone, and coarsening it moves whole sections: counting is exact in one pass and in any order.


@_compile(types.float64, types.float64, int64, returns=types.UniTuple(types.float64, 2))
def dyadic_grid(low, high, sections):
    """(scale, base) of the finest dyadic grid with at most `sections` (2 or more) sections over [low, high]."""
    largest = max(abs(low), abs(high))
    lowest = _LOWEST_EXPONENT
    if largest > 0:
        lowest = max(lowest, math.frexp(largest)[1] - 23)
    exponent = lowest
    if high > low:
        exponent = max(lowest, math.frexp((high - low) / sections)[1] - 2)
    while (
        math.floor(math.ldexp(high, -exponent)) - math.floor(math.ldexp(low, -exponent)) >= sections
        and exponent < _HIGHEST_EXPONENT  # bounds the loop where a damaged file brought in an infinity
    ):
        exponent += 1
    scale = math.ldexp(1.0, -exponent)
    return scale, math.floor(low * scale)


@_compile(types.float64, types.float64, types.float64, int64, returns=int64)
def _moved(index, ratio, new_base, sections):
    return min(max(int64(math.floor(index * ratio) - new_base), 0), sections - 1)


@_compile(float32, float32, float32, int64, returns=int64)
def _section(value, scale, base, sections):
    return int64(min(max(np.floor(value * scale) - base, np.float32(0)), np.float32(sections - 1)))


@_compile(uint32[::1], types.float64, types.float64, types.float64, types.float64)
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


@_compile(uint8, types.float64, types.float64, types.float64, types.float64, returns=uint8)
def _move_bits(bits, scale, base, new_scale, new_base):
    ratio = new_scale / scale
    moved = 0
    for k in range(8):
        if (bits >> k) & 1:
            moved |= 1 << _moved(base + k, ratio, new_base, 8)
    return uint8(moved)


@_compile(
    _VALUES, _LABELS, float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], uint32[:, :, ::1],
    codes=[_CODES],
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


@_compile(
    float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], uint32[:, :, ::1],
    _read(float32, 2), _read(float32, 2), _read(float32, 2), _read(float32, 2), uint32[:, :, ::1],
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


@_compile(
    _VALUES, _LABELS, _read(float32, 2), _read(float32, 2), _read(float32, 2), _read(float32, 3), _OUT, codes=[_CODES]
)  # fmt: skip
def sections_cost(values, labels, low, high, sections_per_unit, cost, out):
    """Sum the cost of each neuron's section; the last entry of `cost`, (classes, neurons, sections + 1), is outside."""
    sections = cost.shape[2] - 1
    for i in range(values.shape[0]):
        c = labels[i]
        total = 0.0
        for j in range(values.shape[1]):
            v = float32(values[i, j])
            if (low[c, j] <= v) & (v <= high[c, j]):
                q = int64(math.ceil((v - low[c, j]) * sections_per_unit[c, j])) - 1
                total += cost[c, j, min(max(q, 0), sections - 1)]
            else:
                total += cost[c, j, sections]
        out[i] = total


@_compile(
    _VALUES, _LABELS, float32[::1], float32[::1], float32[::1], float32[::1], uint8[:, ::1], int64, codes=[_CODES]
)
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


@_compile(
    float32[::1], float32[::1], float32[::1], float32[::1], uint8[:, ::1],
    _read(float32, 1), _read(float32, 1), _read(float32, 1), _read(float32, 1), _read(uint8, 2), int64,
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


@_compile(_VALUES, _LABELS, _read(float32, 1), _read(float32, 1), _read(uint8, 2), _OUT)
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


# Codes are compared as bytes, and counted in bytes over a block that cannot overflow one: 32 neurons an instruction.
_BLOCK = 128


@_compile(uint8, uint8, uint8, returns=uint8)
def _is_outside(code, low, high):
    return uint8(not ((low <= code) & (code <= high)))


@_compile(_CODES, _LABELS, _CODES, _CODES, _OUT)
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


@_compile(uint8, uint8, uint8, uint8, returns=uint8)
def _in_seen_section(code, shift, base, bits):
    k = uint8(uint8(code >> uint8(shift & uint8(7))) - base)
    bit = uint8(uint8(bits >> uint8(k & uint8(7))) & uint8(1))
    return bit if k < uint8(8) else uint8(0)


@_compile(_CODES, _LABELS, _read(uint8, 1), _read(uint8, 1), _CODES, _OUT)
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


@_compile(_read(float32, 1), int64[::1], codes=[_read(uint8, 1)])
def _top_ranks(row, top):
    """Fill `top` with the indices of the highest values, highest first; of equal ones the lower index first."""
    held = 0
    for j in range(row.shape[0]):
        v = row[j]
        if held == top.shape[0] and not v > row[top[held - 1]]:
            continue
        k = held if held < top.shape[0] else held - 1
        while k > 0 and v > row[top[k - 1]]:
            top[k] = top[k - 1]
            k -= 1
        top[k] = j
        held = min(held + 1, top.shape[0])


@_compile(_VALUES, _LABELS, uint32[:, ::1], int64, codes=[_CODES])
def rank_observe(values, labels, counts, top):
    """Count per class and neuron (classes, neurons) in how many rows it is among the `top` highest."""
    ranked = np.zeros(top, np.int64)
    for i in range(values.shape[0]):
        _top_ranks(values[i], ranked)
        for j in ranked:
            counts[labels[i], j] += uint32(1)


@_compile(_VALUES, _LABELS, _read(float32, 2), _read(float32, 1), int64[::1], _OUT, codes=[_CODES])
def rank_cost(values, labels, cost, weights, ranked, out):
    """Sum weights[rank] * cost[class, neuron] over the highest neurons; `ranked` is scratch of as many."""
    for i in range(values.shape[0]):
        _top_ranks(values[i], ranked)
        total = 0.0
        for rank in range(ranked.shape[0]):
            total += weights[rank] * cost[labels[i], ranked[rank]]
        out[i] = total


@_compile(_VALUES, _read(float32, 1), uint64[:, ::1], codes=[_CODES])
def pack_above(values, reference, patterns):
    """Pack the bits value > reference into `patterns` (n, ceil(neurons / 64)), lowest bit first."""
    neurons = values.shape[1]
    for i in range(values.shape[0]):
        for w in range(patterns.shape[1]):
            word = uint64(0)
            for j in range(64 * w, min(64 * w + 64, neurons)):
                word |= uint64(float32(values[i, j]) > reference[j]) << uint64(j - 64 * w)
            patterns[i, w] = word


@_compile(uint64, returns=int64)
def _ones(word):
    word -= (word >> uint64(1)) & uint64(0x5555555555555555)
    word = (word & uint64(0x3333333333333333)) + ((word >> uint64(2)) & uint64(0x3333333333333333))
    word = (word + (word >> uint64(4))) & uint64(0x0F0F0F0F0F0F0F0F)
    return int64((word * uint64(0x0101010101010101)) >> uint64(56))


@_compile(_read(uint64, 2), _LABELS, _read(uint64, 3), _read(int64, 1), int64[::1], _OUT)
def nearest_distance(patterns, labels, stored, held, nearest, out):
    """Hamming distance to the k-th nearest of the class's `held` patterns in `stored` (classes, capacity, words).

    `nearest` is scratch of k entries. With fewer than k patterns held, the farthest of them counts.
    """
    for i in range(patterns.shape[0]):
        c = labels[i]
        found = 0
        for row in range(held[c]):
            distance = int64(0)
            for w in range(patterns.shape[1]):
                distance += _ones(patterns[i, w] ^ stored[c, row, w])
            if found == nearest.shape[0] and distance >= nearest[found - 1]:
                continue
            k = found if found < nearest.shape[0] else found - 1
            while k > 0 and distance < nearest[k - 1]:
                nearest[k] = nearest[k - 1]
                k -= 1
            nearest[k] = distance
            found = min(found + 1, nearest.shape[0])
        out[i] = nearest[found - 1] if found else 64 * patterns.shape[1]


@_compile(_VALUES, _LABELS, _read(float32, 2), _read(float32, 2), _OUT)
def whitened_distance(values, labels, mean, whitening, out):
    """Norm of whitening @ (value - mean[class]); `whitening` is lower triangular, (neurons, neurons)."""
    for i in range(values.shape[0]):
        c = labels[i]
        total = 0.0
        for row in range(whitening.shape[0]):
            s0 = s1 = s2 = s3 = np.float32(0)
            whole = (row + 1) // 4 * 4
            for j in range(0, whole, 4):
                s0 += whitening[row, j] * (values[i, j] - mean[c, j])
                s1 += whitening[row, j + 1] * (values[i, j + 1] - mean[c, j + 1])
                s2 += whitening[row, j + 2] * (values[i, j + 2] - mean[c, j + 2])
                s3 += whitening[row, j + 3] * (values[i, j + 3] - mean[c, j + 3])
            for j in range(whole, row + 1):
                s0 += whitening[row, j] * (values[i, j] - mean[c, j])
            total += float32((s0 + s1) + (s2 + s3)) ** 2
        out[i] = math.sqrt(total)


@_compile(_VALUES, _OUT)
def softmax_surprise(values, out):
    """-log of the highest softmax of each row; a row that is a distribution already is taken as it is."""
    for i in range(values.shape[0]):
        highest = values[i, 0]
        lowest = values[i, 0]
        mass = 0.0
        for j in range(values.shape[1]):
            highest = max(highest, values[i, j])
            lowest = min(lowest, values[i, j])
            mass += values[i, j]
        if lowest >= 0 and abs(mass - 1) < 1e-3:
            out[i] = max(-math.log(highest), 0.0)
            continue
        total = 0.0
        for j in range(values.shape[1]):
            total += math.exp(values[i, j] - highest)
        out[i] = math.log(total)


# Many columns in one call. The tables hold their neurons one behind the other; `columns` (columns, 3) says of each
# where it ends there, where its neurons begin in a row of `values` (n, any), and at which place of a row of `out`
# (n, any) its deviation is written. `seen` (classes, columns): 1 where the class was observed. Deviations as above,
# +inf as in `alarm_uncovered_rows`. Flags are bytes: numba takes in an array of booleans more slowly.
_COLUMNS = (_read(int64, 2), _read(uint8, 2), float32[:, ::1])


@_compile(_VALUES, _LABELS, _read(float32, 2), _read(float32, 2), *_COLUMNS)
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


@_compile(_VALUES, _LABELS, _read(float32, 1), _read(float32, 1), _read(uint8, 2), *_COLUMNS)
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


@_compile(_VALUES, _LABELS, _read(float32, 2), _read(float32, 2), _read(float32, 2), _read(float32, 3), *_COLUMNS)
def sections_cost_of_columns(values, labels, low, high, sections_per_unit, cost, columns, seen, out):
    """`sections_cost` of many columns."""
    sections = cost.shape[2] - 1
    for i in range(values.shape[0]):
        c, start = labels[i], 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            row = values[i, first : first + end - start]
            total, bad = 0.0, int32(0)
            for j in range(start, end):
                v = row[j - start]
                if (low[c, j] <= v) & (v <= high[c, j]):
                    q = int64(math.ceil((v - low[c, j]) * sections_per_unit[c, j])) - 1
                    total += cost[c, j, min(max(q, 0), sections - 1)]
                else:
                    total += cost[c, j, sections]
                    bad += int32(not (abs(v) <= np.float32(3.4028235e38)))
            covered = bad == 0 and seen[c, column]
            out[i, columns[column, 2]] = np.float32(total) if covered else np.float32(np.inf)
            start = end


@_compile(_VALUES, _LABELS, _read(float32, 2), _read(float32, 1), *_COLUMNS)
def whitened_distance_of_columns(values, labels, mean, whitening, columns, seen, out):
    """`whitened_distance` of many columns; `whitening` holds their matrices one behind the other, row by row."""
    for i in range(values.shape[0]):
        c, start, place = labels[i], 0, 0
        for column in range(columns.shape[0]):
            end, first = columns[column, 0], columns[column, 1]
            total, bad = 0.0, int32(0)
            for j in range(end - start):
                bad += int32(not (abs(values[i, first + j]) <= np.float32(3.4028235e38)))
            for row in range(end - start):
                s0 = s1 = s2 = s3 = np.float32(0)
                whole = (row + 1) // 4 * 4
                for k in range(0, whole, 4):
                    j, v = start + k, first + k
                    s0 += whitening[place + k] * (values[i, v] - mean[c, j])
                    s1 += whitening[place + k + 1] * (values[i, v + 1] - mean[c, j + 1])
                    s2 += whitening[place + k + 2] * (values[i, v + 2] - mean[c, j + 2])
                    s3 += whitening[place + k + 3] * (values[i, v + 3] - mean[c, j + 3])
                for k in range(whole, row + 1):
                    s0 += whitening[place + k] * (values[i, first + k] - mean[c, start + k])
                total += float32((s0 + s1) + (s2 + s3)) ** 2
                place += end - start
            covered = bad == 0 and seen[c, column]
            out[i, columns[column, 2]] = np.float32(math.sqrt(total)) if covered else np.float32(np.inf)
            start = end


# What each neuron of one sample adds to its deviation: `values` and `out` (neurons,), tables of its class alone, +inf
# for NaN and Inf.
_ROW = _read(float32, 1)


@_compile(_ROW, _ROW, _ROW, _OUT)
def range_parts(values, low, high, out):
    """1 outside the range, else 0."""
    for j in range(values.shape[0]):
        v = values[j]
        outside = np.float32(not ((low[j] <= v) & (v <= high[j])))
        out[j] = outside if abs(v) <= np.float32(3.4028235e38) else np.float32(np.inf)


@_compile(_ROW, _ROW, _ROW, _read(uint8, 1), _OUT)
def bitmap_parts(values, scale, base, bits, out):
    """1 in a section that the class has not visited, else 0."""
    for j in range(values.shape[0]):
        v = values[j]
        t = np.floor(v * scale[j]) - base[j]
        within = (t >= np.float32(0)) & (t < np.float32(8))
        k = int32(t if within else np.float32(0))
        outside = np.float32(not (within & ((int32(bits[j]) >> k) & 1)))
        out[j] = outside if abs(v) <= np.float32(3.4028235e38) else np.float32(np.inf)


@_compile(_ROW, _ROW, _ROW, _ROW, _read(float32, 2), _OUT)
def sections_parts(values, low, high, sections_per_unit, cost, out):
    """The cost of the section, the last one outside of the range."""
    sections = cost.shape[1] - 1
    for j in range(values.shape[0]):
        v = values[j]
        if (low[j] <= v) & (v <= high[j]):
            q = int64(math.ceil((v - low[j]) * sections_per_unit[j])) - 1
            out[j] = cost[j, min(max(q, 0), sections - 1)]
        else:
            out[j] = cost[j, sections] if abs(v) <= np.float32(3.4028235e38) else np.float32(np.inf)


@_compile(_ROW, _ROW, _read(float32, 2), _OUT)
def whitened_parts(values, mean, whitening, out):
    """d_j (Σ⁻¹ d)_j, d the distance to the mean: parts of its square, below 0 for one that makes up for others.

    NaN and Inf count as the mean for the other neurons.
    """
    n = values.shape[0]
    for j in range(n):
        out[j] = 0
    for row in range(n):
        length = np.float32(0)
        for j in range(row + 1):
            if abs(values[j]) <= np.float32(3.4028235e38):
                length += whitening[row, j] * (values[j] - mean[j])
        for j in range(row + 1):
            out[j] += whitening[row, j] * length
    for j in range(n):
        finite = abs(values[j]) <= np.float32(3.4028235e38)
        out[j] = out[j] * (values[j] - mean[j]) if finite else np.float32(np.inf)


@_compile(_OUT, int64[::1], returns=int64)
def take_highest(values, places):
    """Write where the highest values above 0 are, highest first, of equals the first: how many; they are set to 0."""
    for found in range(places.shape[0]):
        best, highest = -1, np.float32(0)
        for j in range(values.shape[0]):
            if values[j] > highest:
                best, highest = j, values[j]
        if best < 0:
            return found
        places[found] = best
        values[best] = 0
    return places.shape[0]


# What is said of a frame: its class, the classes of its places, the worst of them.


@_compile(_VALUES, int64[::1], returns=types.boolean)
def predict(scores, classes):
    """Write the class of the highest score of each row, NaN above all, the first of equals: whether all are finite."""
    bad = int32(0)
    for i in range(scores.shape[0]):
        best = 0
        for j in range(scores.shape[1]):
            v = scores[i, j]
            bad += int32(not (abs(v) <= np.float32(3.4028235e38)))
            if not (scores[i, best] >= v) and scores[i, best] == scores[i, best]:
                best = j
        classes[i] = best
    return bad == 0


@_compile(_read(float32, 3), _read(int64, 1), _read(int64, 1), int64[::1], codes=[_read(float64, 3)])
def classes_of_places(scores, rows, columns, classes):
    """`predict` for a map of scores (classes, height, width), at the crossings of some of its rows and columns."""
    place = 0
    for y in rows:
        for x in columns:
            best = 0
            for k in range(scores.shape[0]):
                v, highest = scores[k, y, x], scores[best, y, x]
                if not (highest >= v) and highest == highest:  # noqa: PLR0124 (NaN)
                    best = k
            classes[place] = best
            place += 1


@_compile(_LABELS, _read(uint8, 1), _OUT, returns=int64)
def alarm_uncovered_places(classes, covered, out):
    """Set `out` to +inf at the places of classes that are not covered: the class at the last of them, or -1."""
    last = int64(-1)
    for i in range(classes.shape[0]):
        if not covered[classes[i]]:
            out[i] = np.inf
            last = classes[i]
    return last


@_compile(_read(float32, 1), _OUT)
def highest_value(values, out):
    """Write the highest value, NaN above all, to the first place of `out`."""
    best = values[0]
    for v in values:
        if not (best >= v) and best == best:  # noqa: PLR0124 (NaN)
            best = v
    out[0] = best


# Detection logics: `deviations` (n, columns) float64 or float32, `out` (n,) float64, +inf where a deviation or the
# score is no finite number. `log` is 1 for log(1 + deviation). A batch and a single frame go through the same loops, so
# that their scores are the same to the last bit.
_DEVIATIONS, _SCALE, _CURVE, _SCORES = _read(float64, 2), _read(float64, 1), _read(float64, 2), float64[::1]


@_compile(float64, int64, returns=float64)
def _scaled(deviation, log):
    return math.log1p(deviation) if log else deviation


@_compile(float64, types.boolean, returns=float64)
def _or_infinite(score, finite):
    return score if finite and abs(score) < np.inf else np.inf


@_compile(_DEVIATIONS, _SCALE, int64, _SCORES, codes=[_VALUES], division="numpy")
def scaled_sum(deviations, scale, log, out):
    """Sum the deviations over `scale`, (columns,)."""
    for i in range(deviations.shape[0]):
        total, finite = 0.0, True
        for j in range(deviations.shape[1]):
            deviation = float64(deviations[i, j])
            finite &= abs(deviation) < np.inf
            total += _scaled(deviation, log) / scale[j]
        out[i] = _or_infinite(total, finite)


@_compile(_DEVIATIONS, _SCALE, _SCALE, int64, _SCORES, codes=[_VALUES], division="numpy")
def scaled_highest(deviations, scale, shift, log, out):
    """The highest of the deviations over `scale`, each moved by its `shift`, both (columns,)."""
    for i in range(deviations.shape[0]):
        highest, finite = -np.inf, True
        for j in range(deviations.shape[1]):
            deviation = float64(deviations[i, j])
            finite &= abs(deviation) < np.inf
            highest = max(highest, _scaled(deviation, log) / scale[j] + shift[j])
        out[i] = _or_infinite(highest, finite)


@_compile(float64, _CURVE, _CURVE, _SCALE, int64, returns=float64, division="numpy")
def _surprise(value, knots, surprise, excess, j):
    """Column j of a curve at a value: linear between its knots as numpy.interp, and along `excess` behind the last."""
    low, high = 0, knots.shape[0] - 1
    if not (value < knots[high, j]):
        return surprise[high, j] + max(value - knots[high, j], 0.0) / excess[j]
    if value < knots[0, j]:
        return surprise[0, j]
    while high - low > 1:
        middle = (low + high) // 2
        if value >= knots[middle, j]:
            low = middle
        else:
            high = middle
    slope = (surprise[low + 1, j] - surprise[low, j]) / (knots[low + 1, j] - knots[low, j])
    return slope * (value - knots[low, j]) + surprise[low, j]


@_compile(_DEVIATIONS, _CURVE, _CURVE, _SCALE, _SCORES, _SCORES, codes=[_VALUES], division="numpy")
def kth_surprise(deviations, knots, surprise, excess, highest, out):
    """The k-th highest surprise of a column; `highest` is scratch of k entries."""
    k = highest.shape[0]
    for i in range(deviations.shape[0]):
        finite = True
        for place in range(k):
            highest[place] = -np.inf
        for j in range(deviations.shape[1]):
            deviation = float64(deviations[i, j])
            finite &= abs(deviation) < np.inf
            found = _surprise(deviation, knots, surprise, excess, j)
            finite &= abs(found) < np.inf
            place = k
            while place > 0 and found > highest[place - 1]:
                if place < k:
                    highest[place] = highest[place - 1]
                place -= 1
            if place < k:
                highest[place] = found
        out[i] = _or_infinite(highest[k - 1], finite)


@_compile(_DEVIATIONS, _SCALE, _SCALE, _read(int64, 1), int64, float64[:, ::1], codes=[_VALUES], division="numpy")
def parts_of_groups(deviations, scale, centre, ends, log, parts):
    """Sums of standard scores, a group of columns each, then the highest score of each group of several columns.

    scale, centre: (columns,), what a deviation is divided by and then made less by. ends: (groups,) where the columns
    of each end.
    """
    groups = ends.shape[0]
    for i in range(deviations.shape[0]):
        start, several = 0, groups
        for group in range(groups):
            total, highest = 0.0, -np.inf
            for j in range(start, ends[group]):
                z = _scaled(float64(deviations[i, j]), log) / scale[j] - centre[j]
                total += z
                highest = max(highest, z)
            parts[i, group] = total
            if ends[group] - start > 1:
                parts[i, several] = highest
                several += 1
            start = ends[group]


@_compile(
    _DEVIATIONS, _SCALE, _SCALE, _read(int64, 1), int64, _CURVE, _CURVE, _SCALE, float64[:, ::1], _SCORES,
    codes=[_VALUES], division="numpy",
)  # fmt: skip
def highest_surprise(deviations, scale, centre, ends, log, knots, surprise, excess, parts, out):
    """The highest surprise of a part, see `parts_of_groups`; `parts` (n, parts) is scratch."""
    parts_of_groups(deviations, scale, centre, ends, log, parts)
    for i in range(deviations.shape[0]):
        highest, finite = -np.inf, True
        for j in range(deviations.shape[1]):
            finite &= abs(float64(deviations[i, j])) < np.inf
        for j in range(parts.shape[1]):
            found = _surprise(parts[i, j], knots, surprise, excess, j)
            finite &= abs(found) < np.inf
            highest = max(highest, found)
        out[i] = _or_infinite(highest, finite)


@_compile(float64, float64, float64, returns=types.Tuple((int64, float64)), division="numpy")
def _held(score, threshold, warning):
    level = 2 if not (score <= threshold) else 1 if score > warning else 0
    quotient = 0.0 if score == 0 else score / threshold
    return level, np.exp2(-quotient) if quotient == quotient else 0.0  # noqa: PLR0124 (NaN)


@_compile(_SCALE, _LABELS, _SCALE, _SCALE, int64[::1], _SCORES, _SCORES)
def judge(scores, classes, thresholds, warnings, level, threshold, confidence):
    """Hold scores (n,) against the thresholds of their class, both (classes,).

    level: 2 above the threshold and for NaN, 1 above the warning threshold, else 0. threshold: that of the class.
    confidence: 2 ** -(score / threshold), 1 for a score of 0, 0 where the quotient is no number.
    """
    for i in range(scores.shape[0]):
        threshold[i] = thresholds[classes[i]]
        level[i], confidence[i] = _held(scores[i], threshold[i], warnings[classes[i]])


@_compile(float32, float32, returns=float64, division="numpy")
def _excess(value, limit):
    return np.inf if math.isinf(value) or limit == 0 else float64(value) / float64(limit)


@_compile(_ROW, _ROW, int64[::1], returns=int64)
def columns_above(deviation, limits, places):
    """Write which values are infinite or above their limits, the furthest in proportion first, of equals the first.

    All (columns,). Returns how many they are; without limit, of 0, is as far as it goes.
    """
    found = 0
    for j in range(deviation.shape[0]):
        if deviation[j] > limits[j] or math.isinf(deviation[j]):
            excess, k = _excess(deviation[j], limits[j]), found
            while k > 0 and excess > _excess(deviation[places[k - 1]], limits[places[k - 1]]):
                places[k] = places[k - 1]
                k -= 1
            places[k] = j
            found += 1
    return found


@_compile(
    _SCALE, _LABELS, _SCALE, _SCALE, _ROW, _ROW, int64[::1],
    returns=types.Tuple((int64, float64, float64, float64, int64, int64)),
)  # fmt: skip
def judge_frame(score, label, thresholds, warnings, deviation, limits, places):
    """(level, score, threshold, confidence, class, found) of one frame; see `judge`.

    Where the level is not 0, found and `places` are those of `columns_above`.
    """
    threshold = thresholds[label[0]]
    level, confidence = _held(score[0], threshold, warnings[label[0]])
    found = columns_above(deviation, limits, places) if level else 0
    return level, score[0], threshold, confidence, label[0], found


def _frame_facts(frame, exponent, last):
    """How many frames in a row had the bytes of this one; -1 where it holds NaN or Inf, -2 where it is of one colour.

    Of three axes the first or the last may be that of the colours, if it has no more than 4. exponent: (1,)
    unsigned of the size of a value, the bits of the exponent, 0 for integers. last: (2,) uint64, kept from frame to
    frame: the sum of all values times numbers that are as good as random, 64 bits of it, and how many frames had it.
    """
    words, highest = frame.reshape(frame.size).view(exponent.dtype), exponent[0]
    plain = False
    for last_axis in range(2):
        size, colours = words.shape[0], 1
        if frame.ndim == 3 and size > 4:
            if last_axis and frame.shape[2] <= 4:
                colours = frame.shape[2]
            elif not last_axis and frame.shape[0] <= 4:
                size //= frame.shape[0]
        differs = False
        for i in range(words.shape[0]):
            if i % size >= colours and words[i] != words[i - colours]:
                differs = True
                break
        plain |= not differs
    bad, digest = int32(0), uint64(0)
    for i in range(words.shape[0]):
        word = words[i]
        bad += int32((word & highest) == highest)
        upper = uint32(uint64(word) >> uint64(32))
        folded = uint32(word) ^ uint32(upper * uint32(0x27D4EB2F)) ^ uint32(0x9E3779B9)
        weight = uint32(uint32(i) * uint32(0x85EBCA6B))
        weight = uint32((weight ^ (weight >> uint32(15))) * uint32(0xC2B2AE35)) | uint32(1)
        digest += uint64(folded) * uint64(weight)
    last[1] = last[1] + uint64(1) if last[0] == digest else uint64(1)
    last[0] = digest
    if bad != 0 and highest != 0:
        return int64(-1)
    return int64(-2) if plain else int64(last[1])


@functools.cache
def frame_facts(dtype, dimensions):
    """`_frame_facts` for frames of a dtype, any but float16, and a number of axes; compiled when first asked for."""
    word = from_dtype(np.dtype(f"u{dtype.itemsize}"))
    return _compile(_read(from_dtype(dtype), dimensions), _read(word, 1), uint64[::1], returns=int64)(_frame_facts)


# What a loop counts of a frame, in arrays that others read as they stand.


@_compile(int64[::1], int64[::1], int64[::1], float64[::1], float64, int64, float64, float64, float64, returns=int64)
def count_frame(counters, margins, latencies, spent, deadline, status, score, threshold, microseconds):
    """Count one frame; how many there were.

    counters: frames, warnings, alarms, faults, stale frames, deadline misses; status: 0 OK to 4 STALE. margins: of
    score / threshold below FAULT, in sixteenths, the last for all beyond and what is no number. latencies: whole
    microseconds below 8, then four buckets to an octave, the last for all beyond. spent: sum and largest. deadline: in
    microseconds. A latency below 0 or NaN counts as 0.
    """
    counters[0] += 1
    if status > 0:
        counters[status] += 1
    if status < 3:
        last = margins.shape[0] - 1
        steps = score * 16 / threshold if threshold > 0 else 0.0 if score == 0 else np.inf
        margins[int(steps) if 0 <= steps < last else last] += 1
    if microseconds > deadline:
        counters[5] += 1
    if not microseconds > 0:
        microseconds = 0.0
    spent[0] += microseconds
    spent[1] = max(spent[1], microseconds)
    last = latencies.shape[0] - 1
    whole, octave = int64(min(microseconds, 9e18)), 0
    while whole >> octave > 7:
        octave += 1
    latencies[min(4 * octave + (whole >> octave), last)] += 1
    return counters[0]
