"""The margin between the two highest class scores, to join with coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...criterion import Criterion
from ...kernels.confidence import inverse_margin, inverse_margin_of_shares
from .softmax import LOGITS, OfScores


@dataclass(frozen=True, repr=False)
class Margin(OfScores, Criterion):
    """1 / max(z1 - z2, 1e-6), z1 and z2 the two highest logits (our form). It reads the scores and keeps nothing.

    Not coverage, as `Softmax`, in whose place it goes. It still tells scores apart of which the softmax is 1 in
    float32, and one that is higher than all others together from one that is higher than each. z1 - z2 is the log of
    the ratio of the two highest probabilities: those of a network with a softmax of its own give the same, 0 where
    only one is above 0, and infinity where none is. A single score has no other beside it and deviates by 0.
    scores: as of `OfScores`, which the network tells.
    """

    name: ClassVar[str] = "margin"
    merges_exactly: ClassVar[bool] = True
    tells_confidence: ClassVar[bool] = True

    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        (inverse_margin if self.scores == LOGITS else inverse_margin_of_shares)(values, out)
