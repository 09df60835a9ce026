"""How what deviates lies in a map: everywhere, along rows or columns, in one region, in single points."""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int64, types, uint8

from ...coverage.kernels.compiling import compiled, read

_CELLS = 4
_MAP, _MARKS, _STACK = read(float32, 2), uint8[:, ::1], int64[::1]


@compiled(_MARKS, int64, int64, returns=types.UniTuple(float64, 2))
def _between(marks, found, cells):
    """The share of the variance of the marks that lies between rows, and the entropy of their number in cells."""
    height, width = marks.shape
    share, variance = found / (height * width), 0.0
    counts = np.zeros(cells * cells, np.int64)
    for y in range(height):
        of_row = 0
        for x in range(width):
            of_row += marks[y, x]
            counts[cells * y // height * cells + cells * x // width] += marks[y, x]
        variance += width * (of_row / width - share) ** 2
    entropy = 0.0
    for count in counts:
        if count > 0:
            entropy -= count / found * np.log(count / found)
    whole = height * width * share * (1 - share)
    return variance / whole if whole > 0 else 0.0, entropy / np.log(float64(cells * cells))


@compiled(_MARKS, int64, returns=float64)
def _between_columns(marks, found):
    height, width = marks.shape
    share, variance = found / (height * width), 0.0
    for x in range(width):
        of_column = 0
        for y in range(height):
            of_column += marks[y, x]
        variance += height * (of_column / height - share) ** 2
    whole = height * width * share * (1 - share)
    return variance / whole if whole > 0 else 0.0


@compiled(_MARKS, returns=float64)
def _alike(marks):
    """The share of the neighbours of marks, below and to the right, that are marks."""
    height, width = marks.shape
    pairs, alike = 0, 0
    for y in range(height):
        for x in range(width):
            if marks[y, x]:
                if x + 1 < width:
                    pairs += 1
                    alike += marks[y, x + 1]
                if y + 1 < height:
                    pairs += 1
                    alike += marks[y + 1, x]
    return alike / pairs if pairs else 0.0


@compiled(_MARKS, _STACK, int64, returns=int64)
def _taken(marks, stack, first):
    """Take the region of the mark at `first` away, of 8 neighbours: how many there were. stack: scratch."""
    height, width = marks.shape
    size, top = 0, 1
    stack[0] = first
    marks[first // width, first % width] = 0
    while top > 0:
        top -= 1
        size += 1
        y, x = stack[top] // width, stack[top] % width
        for i in range(max(y - 1, 0), min(y + 2, height)):
            for j in range(max(x - 1, 0), min(x + 2, width)):
                if marks[i, j]:
                    marks[i, j] = 0
                    stack[top] = i * width + j
                    top += 1
    return size


@compiled(_MAP, float64, float64[::1], _MARKS, _STACK, returns=int64)
def lies(values, level, out, marks, stack):
    """Write how the places of a map (height, width) above a level lie: six numbers from 0 to 1. Returns their count.

    share: the square root of their share of all places. rows, columns: the share of the variance of "above the level"
    that lies between rows, and between columns; 1 where whole rows are above. spread: the entropy of their number in
    4 x 4 cells over its highest, 1 where they are everywhere alike. smooth: by how much more often a neighbour of one
    is another than chance has it. region: the share of them in the largest of their regions (8 neighbours).
    NaN counts as above. All are 0 where no place is. marks: (height, width), stack: (height * width,), scratch.
    """
    height, width = values.shape
    found = 0
    for y in range(height):
        for x in range(width):
            marks[y, x] = not (values[y, x] <= level)
            found += marks[y, x]
    out[:] = 0.0
    if found == 0:
        return 0
    share = found / (height * width)
    out[0] = np.sqrt(share)
    out[1], out[3] = _between(marks, found, _CELLS)
    out[2] = _between_columns(marks, found)
    out[4] = max(_alike(marks) - share, 0.0)
    largest = 0
    for place in range(height * width):
        if marks[place // width, place % width]:
            largest = max(largest, _taken(marks, stack, place))
    out[5] = largest / found
    return found
