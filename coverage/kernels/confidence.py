"""The confidence of class scores."""

from __future__ import annotations

import math

from .compiling import OUT, VALUES, compiled


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
