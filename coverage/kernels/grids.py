"""Dyadic grids: sections of width 2**-e at multiples of that width, `scale` = 2**e, `base` = index of the first.

The grid is the finest of that kind that spans [low, high] in the given number of sections. It depends on the
extremes alone, and coarsening it moves whole sections: counting is exact in one pass and in any order. Sums of the
neurons tell whole samples apart, so that a grid can hold them as well.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, float64, int64, types, uint64

from .compiling import VALUES, compiled, inlined, read

_LOWEST_EXPONENT, _HIGHEST_EXPONENT = -125, 128


@compiled(float64, float64, int64, returns=types.UniTuple(float64, 2))
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


@inlined
def widen(low, high, at, lowest, highest, sections):
    """Widen the extremes at an index: whether there were none before, and (scale, base) of the grid they have now.

    -0 becomes 0: which of them an extreme is would depend on the order.
    """
    empty = low[at] > high[at]
    low[at] = min(low[at], lowest + float32(0))
    high[at] = max(high[at], highest + float32(0))
    return empty, dyadic_grid(low[at], high[at], sections)


@compiled(float64, float64, float64, int64, returns=int64)
def moved(index, ratio, new_base, sections):
    """The section of a coarser grid that holds a section, by its index; `ratio` is new scale over old."""
    return min(max(int64(math.floor(index * ratio) - new_base), 0), sections - 1)


@compiled(float32, float32, float32, int64, returns=int64)
def section(value, scale, base, sections):
    """The section that holds a value."""
    return int64(min(max(np.floor(value * scale) - base, np.float32(0)), np.float32(sections - 1)))


@compiled(read(float32, 1), read(float32, 1), read(float32, 1), read(float32, 1), int64, returns=int64)
def first_other_grid(low, high, scale, base, sections):
    """The first index whose scale and base are not those of `dyadic_grid`, or -1."""
    for j in range(low.shape[0]):
        wanted_scale, wanted_base = dyadic_grid(low[j], high[j], sections)
        if scale[j] != np.float32(wanted_scale) or base[j] != np.float32(wanted_base):
            return j
    return -1


@inlined
def _mixed(number):
    """The number's bits mixed (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    number = (number + uint64(1)) * uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> uint64(27))) * uint64(0x94D049BB133111EB)
    return number ^ (number >> uint64(31))


@compiled(VALUES, float64[:, ::1])
def project(values, places):
    """Write sums of the neurons of each row to `places` (n, at most 64); about half of the neurons count negative.

    Which ones is fixed for each sum. It is the same to the last bit in whatever batch its row comes, and never -0.
    """
    for i in range(values.shape[0]):
        for k in range(places.shape[1]):
            places[i, k] = 0
        for j in range(values.shape[1]):
            signs = _mixed(uint64(j))
            for k in range(places.shape[1]):
                if (signs >> uint64(k)) & uint64(1):
                    places[i, k] -= float64(values[i, j])
                else:
                    places[i, k] += float64(values[i, j])
