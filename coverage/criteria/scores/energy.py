"""How far the energy of the class scores is below all that its class has shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...criterion import Arrays, Criterion
from ...kernels.confidence import below_highest_energy, highest_energy
from ...signature import Signature
from ...stored import refuse
from .softmax import LOGITS


@dataclass(frozen=True)
class Energy(Criterion):
    """Liu et al. (NeurIPS 2020): the free energy of the logits z, log Σ exp z_k, at temperature 1.

    Their score is the energy alone. A deviation is 0 or more, so it is held against the highest that a trusted sample
    of the class has shown: max(0, highest - log Σ exp z_k). Where classes share that height, the order of samples is
    the published one. The energy is that of logits: probabilities sum to 1 and have none.
    """

    name: ClassVar[str] = "energy"
    merges_exactly: ClassVar[bool] = True
    tells_confidence: ClassVar[bool] = True

    def for_scores(self, scores: str) -> Energy:
        if scores != LOGITS:
            raise ValueError(
                f"expected class scores that are logits, got {scores}, whose energy is always 0; take margin or"
                " softmax, or a network that ends before its softmax"
            )
        return self

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return {"highest": ((classes,), np.float64, -np.inf)}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        highest_energy(values, labels, arrays["highest"])

    def _merge(self, into: Signature, other: Signature) -> None:
        np.maximum(into.arrays["highest"], other.arrays["highest"], out=into.arrays["highest"])

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:
        highest = arrays["highest"][:, None]
        right = np.where(counts[:, None] > 0, np.isfinite(highest), highest == -np.inf)
        refuse(~right, "a finite energy of a class that was seen, and -inf of others", highest, what="highest energy")

    def _prepare(self, signature: Signature) -> tuple[np.ndarray, ...]:
        return (signature.arrays["highest"],)

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        below_highest_energy(values, labels, *tables, out)
