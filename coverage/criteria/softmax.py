"""The network's own confidence, to join with coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion
from ..kernels.confidence import softmax_surprise
from ..signature import Signature


@dataclass(frozen=True)
class Softmax(Criterion):
    """Hendrycks and Gimpel (ICLR 2017): -log of the highest softmax probability. It reads the logits and keeps nothing.

    Not coverage: it sees inputs that sit on a decision boundary, which coverage does not.
    """

    name: ClassVar[str] = "softmax"

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return {}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        pass

    def _merge(self, into: Signature, other: Signature) -> None:
        pass

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        softmax_surprise(values, out)
