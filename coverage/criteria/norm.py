"""The length of a vector, which its direction does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion
from ..kernels.distances.lengths import length_deviation
from ..signature import Signature
from ..stored import refuse
from .gaussian import join_moments

_LEAST = 1e-3
SMALLEST = float(np.finfo(np.float32).tiny)
"""Shorter vectors count as so long."""


@dataclass(frozen=True)
class Norm(Criterion):
    """How far the logarithm of a vector's length lies from that of its class, in standard deviations (ours).

    Short features of a late layer are a sign of the unknown (Yu et al., "Block Selection Method for Using Feature
    Norm", CVPR 2023); here long ones are, too. It stands beside `Neighbours`, which compare directions. A standard
    deviation counts as 0.001 at least.
    """

    name: ClassVar[str] = "norm"

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return {"mean": ((classes,), np.float64, 0), "squares": ((classes,), np.float64, 0)}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        lengths = np.log(np.maximum(np.linalg.norm(values.astype(np.float64), axis=1), SMALLEST))
        for c in np.unique(labels):
            own = lengths[labels == c]
            mean = own.mean()
            join_moments(arrays, c, counts[c], len(own), mean, np.square(own - mean).sum())

    def _merge(self, into: Signature, other: Signature) -> None:
        for c in np.flatnonzero(other.counts):
            theirs = other.arrays
            join_moments(into.arrays, c, into.counts[c], other.counts[c], theirs["mean"][c], theirs["squares"][c])

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        mean, squares = arrays["mean"], arrays["squares"]
        right = np.isfinite(mean) & np.isfinite(squares) & (squares >= 0)
        refuse(~right, "a finite mean and squares from 0 on", mean, squares)

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, np.ndarray]:
        """(classes,) float64 each: the mean, and the standard deviation."""
        spread = np.sqrt(signature.arrays["squares"] / np.maximum(signature.counts, 1))
        return signature.arrays["mean"], np.maximum(spread, _LEAST)

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        length_deviation(values, labels, *tables, SMALLEST, out)
