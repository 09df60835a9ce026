"""The confidence of class scores."""

from __future__ import annotations

import math

from numba import float32, float64

from .compiling import LABELS, OUT, VALUES, compiled, inlined, read


@inlined
def _highest_of(row):
    highest = row[0]
    for j in range(row.shape[0]):
        highest = max(highest, row[j])
    return float64(highest)


@inlined
def _energy(row):
    highest, total = _highest_of(row), 0.0
    for j in range(row.shape[0]):
        total += math.exp(row[j] - highest)
    return highest + math.log(total)


@compiled(VALUES, LABELS, float64[::1])
def highest_energy(values, labels, highest):
    """Raise `highest` (classes,) to the highest log-sum-exp of rows of each class. Rows are finite."""
    for i in range(values.shape[0]):
        c = labels[i]
        highest[c] = max(highest[c], _energy(values[i]))


@compiled(VALUES, LABELS, read(float64, 1), OUT)
def below_highest_energy(values, labels, highest, out):
    """By how much the log-sum-exp of each row is below that of its class, or 0."""
    for i in range(values.shape[0]):
        out[i] = max(highest[labels[i]] - _energy(values[i]), 0.0)


@compiled(VALUES, OUT)
def softmax_surprise(values, out):
    """-log of the highest softmax of each row of logits."""
    for i in range(values.shape[0]):
        highest = values[i, 0]
        for j in range(values.shape[1]):
            highest = max(highest, values[i, j])
        total = 0.0
        for j in range(values.shape[1]):
            total += math.exp(values[i, j] - highest)
        out[i] = math.log(total)


@compiled(VALUES, OUT)
def surprise(values, out):
    """-log of the highest of each row of probabilities; 0 for one of more than 1, infinity where none is above 0."""
    for i in range(values.shape[0]):
        highest = values[i, 0]
        for j in range(values.shape[1]):
            highest = max(highest, values[i, j])
        out[i] = max(-math.log(highest), 0.0) if highest > 0 else math.inf


@inlined
def _two_highest(row):
    first, second = row[0], float32(-math.inf)
    for j in range(1, row.shape[0]):
        second = max(second, min(first, row[j]))
        first = max(first, row[j])
    return float64(first), float64(second)


@compiled(VALUES, OUT)
def inverse_margin(values, out):
    """1 / max(highest - second highest, 1e-6) of each row of logits; 0 for a row of one."""
    for i in range(values.shape[0]):
        first, second = _two_highest(values[i])
        out[i] = 1 / max(first - second, 1e-6)


@compiled(VALUES, OUT)
def inverse_margin_of_shares(values, out):
    """`inverse_margin` of the logs of probabilities; 0 where only one is above 0, infinity where none is."""
    for i in range(values.shape[0]):
        first, second = _two_highest(values[i])
        if not first > 0:
            out[i] = math.inf
        elif second > 0:
            out[i] = 1 / max(math.log(first) - math.log(second), 1e-6)
        else:
            out[i] = 0
