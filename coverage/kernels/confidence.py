"""The confidence of class scores."""

from __future__ import annotations

import math

from .compiling import OUT, VALUES, compiled


@compiled(VALUES, OUT)
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
