"""The network's own confidence, to join with coverage."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from ...criterion import Arrays, Criterion, require
from ...kernels.confidence import softmax_surprise, surprise
from ...signature import Signature

LOGITS, PROBABILITIES = "logits", "probabilities"
_Of = TypeVar("_Of", bound="OfScores")


@dataclass(frozen=True, repr=False)
class OfScores:
    """What criteria share that read the class scores and keep nothing; each is a `Criterion` beside.

    scores: ``logits``, or ``probabilities`` of a network with a softmax of its own, which are taken as they are. The
    network tells, as `for_scores` does.
    Raises ValueError for any other kind.
    """

    scores: str = field(default=LOGITS, metadata={"left_out_at_default": True})

    def __post_init__(self) -> None:
        require(self.scores in (LOGITS, PROBABILITIES), f"scores {LOGITS!r} or {PROBABILITIES!r}", self.scores)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.scores == LOGITS else f'scores={self.scores!r}'})"

    def for_scores(self: _Of, scores: str) -> _Of:  # noqa: PYI019 (Self is of Python 3.11)
        require(scores in (PROBABILITIES, self.scores), f"scores {scores!r}, as the network's are", self.scores)
        return replace(self, scores=scores)

    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        return {}

    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        pass

    def _merge(self, into: Signature, other: Signature) -> None:
        pass


@dataclass(frozen=True, repr=False)
class Softmax(OfScores, Criterion):
    """Hendrycks and Gimpel (ICLR 2017): -log of the highest softmax probability. It reads the scores and keeps nothing.

    Not coverage: it sees inputs that sit on a decision boundary, which coverage does not.
    scores: as of `OfScores`, which the network tells.
    """

    name: ClassVar[str] = "softmax"
    merges_exactly: ClassVar[bool] = True
    tells_confidence: ClassVar[bool] = True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        (softmax_surprise if self.scores == LOGITS else surprise)(values, out)
