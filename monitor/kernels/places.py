"""Maps as loops: places to one grid, surprise, means over a box, connected parts.

Grids are (frames, columns, height, width) float32, maps (frames, height, width) float32. A batch and a single frame go
through the same loops, so that their maps are the same to the last bit.
"""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, uint8

from ...coverage.kernels.compiling import LABELS, OUT, compiled, inlined, read
from .scores import surprise_of

_GRIDS, _MAPS, _INDICES = float32[:, :, :, ::1], float32[:, :, ::1], read(int64, 1)
_CURVE, _SCALE, _LABELS = read(float64, 2), read(float64, 1), int32[::1]


@compiled(OUT, LABELS, read(uint8, 1), _INDICES, _INDICES, int64, int64, _GRIDS, uint8[::1], int64, float32[:, ::1])
def take_places(values, classes, known, rows, columns, width, to, grids, broken, column, out):
    """Bring the deviations of a column's places, (frames * places,), to a grid; places of unknown classes get +inf.

    known: (classes,), 1 where a class can be compared. rows, columns: which place of a map of that `width` stands at
    each row and column of the grid, whose column is `to`. broken: (frames,), set to 1 where a place of a known class
    has no finite deviation. out: the highest deviation of each frame's places of known classes goes to `column`.
    """
    frames = grids.shape[0]
    places = values.shape[0] // frames
    for i in range(frames):
        highest, first = float32(0), i * places
        for p in range(first, first + places):
            if not known[classes[p]]:
                values[p] = np.inf
            elif values[p] < np.inf:
                highest = max(highest, values[p])
            else:
                broken[i] = 1
        out[i, column] = np.inf if broken[i] else highest
        for y in range(rows.shape[0]):
            row = first + rows[y] * width
            for x in range(columns.shape[0]):
                grids[i, to, y, x] = values[row + columns[x]]


@compiled(read(float32, 4), _CURVE, _CURVE, _SCALE, _MAPS)
def mean_surprise(grids, knots, surprise, excess, out):
    """The mean over columns of -log p of each place; +inf counts as twice the last knot of the curve and 1."""
    last, columns = knots.shape[0] - 1, grids.shape[1]
    for i in range(grids.shape[0]):
        for y in range(grids.shape[2]):
            for x in range(grids.shape[3]):
                total = 0.0
                for j in range(columns):
                    value = grids[i, j, y, x]
                    if value < np.inf:
                        total += surprise_of(float64(value), knots, surprise, excess, j)
                    else:
                        total += 2 * surprise[last, j] + 1
                out[i, y, x] = total / columns


@compiled(read(float32, 3), int64, float64[:, ::1], _MAPS)
def box_means(maps, half, sums, out):
    """The mean over a box of 2 * half + 1 places a side; at the border over those that are there. sums: one map."""
    height, width = maps.shape[1], maps.shape[2]
    for i in range(maps.shape[0]):
        for y in range(height):
            for x in range(width):
                total = 0.0
                for k in range(max(0, x - half), min(width, x + half + 1)):
                    total += maps[i, y, k]
                sums[y, x] = total
        for y in range(height):
            first, end = max(0, y - half), min(height, y + half + 1)
            for x in range(width):
                total = 0.0
                for k in range(first, end):
                    total += sums[k, x]
                across = min(width, x + half + 1) - max(0, x - half)
                out[i, y, x] = total / ((end - first) * across)


@inlined
def _root(labels, p):
    while labels[p] != p:
        labels[p] = labels[labels[p]]
        p = labels[p]
    return p


@compiled(read(float32, 2), float64, _LABELS)
def label(values, level, labels):
    """Write to each place above the level, (height * width,), the first place of its connected part, to others -1.

    Places touch along sides and corners.
    """
    height, width = values.shape
    for y in range(height):
        for x in range(width):
            p = y * width + x
            if not (values[y, x] > level):
                labels[p] = -1
                continue
            labels[p] = p
            for k in range(4):  # left, and the three above
                across, q = (-1, p - 1) if k == 0 else (k - 2, p - width + k - 2)
                if 0 <= x + across < width and (k == 0 or y > 0) and labels[q] >= 0:
                    a, b = _root(labels, p), _root(labels, q)
                    labels[max(a, b)] = min(a, b)
    for p in range(height * width):
        if labels[p] >= 0:
            labels[p] = labels[labels[p]]


@compiled(read(float32, 3), float64, _LABELS, _LABELS, float64[::1])
def largest_area(maps, level, labels, sizes, out):
    """The places of the largest connected part above the level, and m / (1 + m) of the highest value m, so below 1."""
    for i in range(maps.shape[0]):
        label(maps[i], level, labels)
        sizes[:] = 0
        largest, highest = 0, float32(0)
        for p in range(labels.shape[0]):
            highest = max(highest, maps[i].flat[p])
            if labels[p] >= 0:
                sizes[labels[p]] += 1
                largest = max(largest, sizes[labels[p]])
        out[i] = largest + float64(highest) / (1 + float64(highest))


@compiled(read(float32, 3), float64[::1])
def highest_place(maps, out):
    """The highest value of each map."""
    for i in range(maps.shape[0]):
        highest = float32(0)
        for y in range(maps.shape[1]):
            for x in range(maps.shape[2]):
                highest = max(highest, maps[i, y, x])
        out[i] = highest


@compiled(read(uint8, 1), read(uint8, 1), read(float32, 2), float64[::1])
def alarm_broken(infinite, broken, deviations, score):
    """Set scores to +inf where either says so, both (frames,), or a deviation of the frame is not finite."""
    for i in range(score.shape[0]):
        finite = True
        for j in range(deviations.shape[1]):
            finite &= deviations[i, j] < np.inf
        if infinite[i] or broken[i] or not finite:
            score[i] = np.inf
