"""Dyadic grids: sections of width 2**-e at multiples of that width, `scale` = 2**e, `base` = index of the first.

The grid is the finest of that kind that spans [low, high] in the given number of sections, so it depends on the
extremes alone, and coarsening it moves whole sections: counting is exact in one pass and in any order.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, int64, types

from .compiling import compiled

_LOWEST_EXPONENT, _HIGHEST_EXPONENT = -125, 128


@compiled(types.float64, types.float64, int64, returns=types.UniTuple(types.float64, 2))
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


@compiled(types.float64, types.float64, types.float64, int64, returns=int64)
def _moved(index, ratio, new_base, sections):
    return min(max(int64(math.floor(index * ratio) - new_base), 0), sections - 1)


@compiled(float32, float32, float32, int64, returns=int64)
def _section(value, scale, base, sections):
    return int64(min(max(np.floor(value * scale) - base, np.float32(0)), np.float32(sections - 1)))
