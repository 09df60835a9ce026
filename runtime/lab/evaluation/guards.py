"""Defences that read the model and leave its words alone: a linear probe, and the heads of `outrider head search`.

Each learns from prompts of both kinds, and has its threshold from other safe ones by split conformal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ....monitor import MismatchError, conformal_threshold
from ....monitor.heads import HeadGuard
from ....monitor.heads.discriminant import fit_logistic
from ....monitor.heads.ranking import auroc_of_heads
from .answering import BATCH

if TYPE_CHECKING:
    from ....networks.transformers import Decoder

RATE = 0.05
"""Safe prompts flagged, of those that set a threshold."""
PENALTY = 100.0
"""Of the probe's weights, on standardised columns."""
_FOLDS = 5


class PromptGuard(Protocol):
    """Says which prompts are refused before they are answered."""

    def flags(self, prompts: Sequence[str]) -> list[bool]: ...


@dataclass(frozen=True)
class LearningPrompts:
    """What guards learn of. unsafe, safe: of both kinds. threshold: other safe ones. rate: of them, flagged.

    Raises ValueError for a prompt given twice, for fewer than ten of a kind and for a rate outside (0, 1).
    """

    unsafe: Sequence[str]
    safe: Sequence[str]
    threshold: Sequence[str]
    rate: float = RATE

    def __post_init__(self) -> None:
        every = [*self.unsafe, *self.safe, *self.threshold]
        if len(set(every)) < len(every):
            raise ValueError("expected each prompt once, to learn from or for the threshold, got some twice")
        if min(len(self.unsafe), len(self.safe)) < 10:
            raise ValueError(
                f"expected at least 10 prompts of each kind to learn from, got {len(self.unsafe)} unsafe and"
                f" {len(self.safe)} safe"
            )
        if not 0 < self.rate < 1:
            raise ValueError(f"expected a rate between 0 and 1, got {self.rate}")


class ProbeGuard:
    """Logistic regression on what enters one layer at the last token of a prompt.

    layer: from 0; None takes the one whose difference of means ranks best in five folds of what it learns from.
    threshold: the score above which a prompt is flagged.
    """

    def __init__(
        self, decoder: Decoder, learned: LearningPrompts, layer: int | None = None, *, batch: int = BATCH
    ) -> None:
        self._decoder, self._batch = decoder, batch
        states = self._states([*learned.unsafe, *learned.safe])
        unsafe = np.arange(len(states)) < len(learned.unsafe)
        self.layer = best_layer(states, unsafe) if layer is None else layer
        if not 0 <= self.layer < decoder.layers:
            raise ValueError(f"expected a layer from 0 to {decoder.layers - 1}, got {self.layer}")
        self._weights, self._bias = fit_logistic(states[:, self.layer], unsafe, PENALTY)
        self.threshold = conformal_threshold(self.scores(learned.threshold), learned.rate)

    def scores(self, prompts: Sequence[str]) -> np.ndarray:
        """The log-odds of unsafe, (n,) float64."""
        return self._states(prompts)[:, self.layer].astype(np.float64) @ self._weights + self._bias

    def flags(self, prompts: Sequence[str]) -> list[bool]:
        """Whether each prompt is above the threshold; one whose score is no number is flagged."""
        return [not score <= self.threshold for score in self.scores(prompts).tolist()]

    def _states(self, prompts: Sequence[str]) -> np.ndarray:
        """(n, layers, width) float32."""
        decoder = self._decoder
        out = np.empty((len(prompts), decoder.layers, decoder.width), np.float32)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            out[rows] = decoder.prefill(decoder.encode([prompts[index] for index in rows])).states
        return out


class HeadsGuard:
    """A `HeadGuard`, from a heads file or searched on the prompts. A prompt that it cannot judge is flagged."""

    def __init__(self, guard: HeadGuard) -> None:
        self.guard = guard

    @classmethod
    def searched(cls, decoder: Decoder, learned: LearningPrompts, *, batch: int = BATCH) -> HeadsGuard:
        """Eight read-outs, as `outrider head search` has them by default."""
        guard = HeadGuard(decoder, "read_out", batch=batch)
        guard.search(list(learned.unsafe), list(learned.safe), permutations=0)
        guard.calibrate(list(learned.threshold), learned.rate)
        return cls(guard)

    @classmethod
    def of_file(cls, path: Path, decoder: Decoder, key: Path | None = None) -> HeadsGuard:
        """Of a heads file with a threshold. Raises MismatchError for that of another model, ValueError without one."""
        guard = HeadGuard.load(path, decoder, key=key)
        if guard.calibration is None:
            raise ValueError(f"{path}: expected a heads file with a threshold, got one without; see `head calibrate`")
        return cls(guard)

    def flags(self, prompts: Sequence[str]) -> list[bool]:
        """Whether each prompt alarms."""
        return [verdict.alarm for verdict in self.guard.check(list(prompts))]


@dataclass(frozen=True)
class GuardSources:
    """Where guards come from. learned: prompts. heads: a heads file, taken for the model that it was made for.

    layer: of the probe. key: the maker's, for the heads file.
    """

    learned: LearningPrompts | None = None
    heads: Path | None = None
    layer: int | None = None
    key: Path | None = None

    def guard(self, defence: str, decoder: Decoder, *, batch: int = BATCH) -> PromptGuard:
        """The guard of "probe" or "heads". Raises ValueError where there is nothing to make it of."""
        if defence == "heads" and self.heads is not None:
            try:
                return HeadsGuard.of_file(self.heads, decoder, self.key)
            except MismatchError:
                if self.learned is None:
                    raise
        if self.learned is None:
            raise ValueError(
                f"expected prompts to learn {defence} from, got none; give them, and safe ones for a threshold"
            )
        if defence == "heads":
            return HeadsGuard.searched(decoder, self.learned, batch=batch)
        return ProbeGuard(decoder, self.learned, self.layer, batch=batch)

    def key_of(self) -> dict[str, Any]:
        """What decides what a guard flags, in JSON types."""
        facts: dict[str, Any] = {"layer": self.layer}
        if self.learned is not None:
            of = self.learned
            facts |= {
                "unsafe": list(of.unsafe),
                "safe": list(of.safe),
                "threshold": list(of.threshold),
                "rate": of.rate,
            }
        if self.heads is not None:
            import hashlib

            facts["heads"] = hashlib.sha256(self.heads.read_bytes()).hexdigest()
        return facts


def best_layer(states: np.ndarray, unsafe: np.ndarray) -> int:
    """The layer whose difference of class means ranks left-out prompts best, by AUROC over five folds.

    states: (n, layers, width). unsafe: (n,) bool. Equal layers: the lowest.
    """
    folds = np.empty(len(unsafe), int)
    for kind in (True, False):
        rows = np.flatnonzero(unsafe == kind)
        folds[rows] = np.random.default_rng(0).permutation(len(rows)) % _FOLDS
    scores = np.empty((states.shape[1], len(unsafe), 1))
    for fold in range(_FOLDS):
        seen, left = folds != fold, folds == fold
        means = [states[seen & (unsafe == kind)].mean(0, dtype=np.float64) for kind in (True, False)]
        scores[:, left, 0] = np.einsum("nlw,lw->ln", states[left] - (means[0] + means[1]) / 2, means[0] - means[1])
    return int(np.argmax(auroc_of_heads(scores, unsafe[:, None])[:, 0]))
