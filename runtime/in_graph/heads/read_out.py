"""The linear read-out of attention heads, as the graph needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....monitor import ExportError


@dataclass(frozen=True)
class ReadOut:
    """What a guard knows: score = sum over heads of w_h · x_h, plus bias; it alarms unless score <= threshold.

    x_h is the output of head h at the last token: its slice of what enters the output projection of its layer.
    chosen: (layer, head) of each of k heads, counted from 0. weights: (k, head_dim) float32. layers, heads: of the
    decoder, and heads per layer. facts: what else goes into the metadata of the file, in JSON types.
    Raises ExportError for numbers that do not fit together.
    """

    chosen: Sequence[tuple[int, int]]
    weights: np.ndarray
    bias: float
    threshold: float
    layers: int
    heads: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chosen = [(int(layer), int(head)) for layer, head in self.chosen]
        weights = np.asarray(self.weights, np.float32)
        if weights.ndim != 2 or len(weights) != len(chosen) or not len(chosen):
            raise ExportError(f"expected a row of weights for each of {len(chosen)} heads, got {weights.shape}")
        if len(set(chosen)) < len(chosen):
            raise ExportError(f"expected each head once, got {chosen}")
        beyond = [pair for pair in chosen if not (0 <= pair[0] < self.layers and 0 <= pair[1] < self.heads)]
        if beyond:
            raise ExportError(f"expected heads of {self.layers} layers with {self.heads} heads, got {beyond[0]}")
        if not (np.isfinite(weights).all() and np.isfinite([self.bias, self.threshold]).all()):
            raise ExportError("expected weights, bias and threshold that are finite, got others; calibrate the guard")
        object.__setattr__(self, "chosen", chosen)
        object.__setattr__(self, "weights", weights)

    @property
    def head_dim(self) -> int:
        """The numbers that one head returns for a token."""
        return int(self.weights.shape[1])

    @property
    def width(self) -> int:
        """The numbers that all heads of a layer return for a token."""
        return self.heads * self.head_dim

    def scores(self, heads: np.ndarray) -> np.ndarray:
        """(batch,) float32 from (batch, layers, heads, head_dim): what the graph computes, in numpy."""
        rows, columns = zip(*self.chosen, strict=True)
        return np.einsum("nkd,kd->n", heads[:, rows, columns], self.weights, dtype=np.float32) + np.float32(self.bias)
