"""The cost of the section of a range that a value lies in."""

from __future__ import annotations

import math

import numpy as np
from numba import float32, int32, int64

from .compiling import CODES, COLUMNS, LABELS, OUT, ROW, VALUES, compiled, read


@compiled(
    VALUES, LABELS, read(float32, 2), read(float32, 2), read(float32, 2), read(float32, 3), OUT, codes=[CODES]
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


@compiled(VALUES, LABELS, read(float32, 2), read(float32, 2), read(float32, 2), read(float32, 3), *COLUMNS)
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


@compiled(ROW, ROW, ROW, ROW, read(float32, 2), OUT)
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
