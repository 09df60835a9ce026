"""The cost of the section of a range that a value lies in."""

from __future__ import annotations

import math

from numba import float32, int64

from .compiling import CODES, COLUMNS, LABELS, OUT, ROW, VALUES, compiled, inlined, read
from .loops import parts, total, total_of_columns
from .ranges import is_outside

_TABLES = read(float32, 2), read(float32, 2), read(float32, 2), read(float32, 3)


@inlined
def _cost(value, tables, c, j):
    low, high, sections_per_unit, cost = tables
    sections = cost.shape[2] - 1
    if is_outside(value, low[c, j], high[c, j]):
        return cost[c, j, sections]
    q = int64(math.ceil((value - low[c, j]) * sections_per_unit[c, j])) - 1
    return cost[c, j, min(max(q, 0), sections - 1)]


@compiled(VALUES, LABELS, *_TABLES, OUT, codes=[CODES])
def sections_cost(values, labels, low, high, sections_per_unit, cost, out):
    """Sum the cost of each neuron's section; the last entry of `cost`, (classes, neurons, sections + 1), is outside."""
    total(_cost, 0.0, values, labels, (low, high, sections_per_unit, cost), out)


@compiled(VALUES, LABELS, *_TABLES, *COLUMNS)
def sections_cost_of_columns(values, labels, low, high, sections_per_unit, cost, columns, seen, out):
    """`sections_cost` of many columns."""
    total_of_columns(_cost, 0.0, values, labels, (low, high, sections_per_unit, cost), columns, seen, out)


@compiled(ROW, int64, *_TABLES, OUT)
def sections_parts(values, label, low, high, sections_per_unit, cost, out):
    """The cost of each neuron's section."""
    parts(_cost, values, label, (low, high, sections_per_unit, cost), out)
