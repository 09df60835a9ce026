"""The network's own confidence, to join with coverage."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ..criterion import Arrays, Criterion, require
from ..kernels.confidence import softmax_surprise, surprise
from ..signature import Signature

_LOGITS, _PROBABILITIES = "logits", "probabilities"


@dataclass(frozen=True, repr=False)
class Softmax(Criterion):
    """Hendrycks and Gimpel (ICLR 2017): -log of the highest softmax probability. It reads the scores and keeps nothing.

    Not coverage: it sees inputs that sit on a decision boundary, which coverage does not.
    scores: ``logits``, or ``probabilities`` of a network with a softmax of its own, which are taken as they are. The
    network tells, as `for_scores` does.
    Raises ValueError for any other kind.
    """

    scores: str = field(default=_LOGITS, metadata={"left_out_at_default": True})
    name: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        require(self.scores in (_LOGITS, _PROBABILITIES), f"scores {_LOGITS!r} or {_PROBABILITIES!r}", self.scores)

    def __repr__(self) -> str:
        return "Softmax()" if self.scores == _LOGITS else f"Softmax(scores={self.scores!r})"

    def for_scores(self, scores: str) -> Softmax:
        require(scores in (_PROBABILITIES, self.scores), f"scores {scores!r}, as the network's are", self.scores)
        return replace(self, scores=scores)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return {}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        pass

    def _merge(self, into: Signature, other: Signature) -> None:
        pass

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        (softmax_surprise if self.scores == _LOGITS else surprise)(values, out)
