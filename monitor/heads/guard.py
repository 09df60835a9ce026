"""The guard: search heads, set a threshold on safe prompts, judge prompts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attributes import strict
from ..errors import NotReadyError, ProfileError, warn
from ..verdict import Verdict
from .calibrating import HeadCalibration, calibrate, refused, usable, verdict_of
from .drift import HeadDrift, compare, warn_of
from .features import Features, Progress, check_source, listed, measure, source_of
from .search import RULES, SearchReport, check_enough, choose
from .statistic import Arrays, Head, Scorer, Statistic, describe_statistic, head_name, make_statistic
from .store import FeatureStore

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...networks.transformers import Decoder, Prefill

Prompts = Iterable[Any] | Features
"""Prompts as the decoder takes them, or features that were measured of them before."""


@strict
class HeadGuard:
    """Tells unsafe from safe prompts by a few attention heads of the model that answers them.

    decoder: the model. statistic: what is read of heads, a name or a `Statistic`. heads: how many are chosen, by
    default 8 for `read_out`, 1 for an angle; a joint statistic uses all. rule: "auroc" or, for angles, "paper"; see
    `choose`. batch: prompts run at once.
    Three sets of prompts are needed, none in two of them: to search, to calibrate (safe ones alone), to test.
    Raises ValueError for a rule, a number or a statistic that does not exist.
    """

    def __init__(
        self, decoder: Decoder, statistic: str | Statistic = "read_out", heads: int | None = None, *,
        rule: str = "auroc", batch: int = 1,
    ) -> None:  # fmt: skip
        self.decoder = decoder
        self.statistic = make_statistic(statistic) if isinstance(statistic, str) else statistic
        if not isinstance(self.statistic, Statistic):
            raise TypeError(f"expected a statistic or its name, got {statistic!r}")
        every = decoder.layers * decoder.heads
        self.heads = min(self.statistic.usual_heads, every) if heads is None else heads
        if not 1 <= self.heads <= every:
            raise ValueError(f"expected 1 to {every} heads, as many as the model has, got {self.heads}")
        if rule not in RULES:
            raise ValueError(f"expected a rule among {', '.join(RULES)}, got {rule!r}")
        if rule == "paper" and self.statistic.learns:
            raise ValueError(f"expected an angle for the published rule, got {self.statistic.name}; say rule='auroc'")
        if batch < 1:
            raise ValueError(f"expected a batch of at least 1 prompt, got {batch}")
        self.rule = rule
        self.batch = batch
        self.report: SearchReport | None = None
        self.calibration: HeadCalibration | None = None
        self.searched: frozenset[str] = frozenset()
        self._chosen: tuple[Head, ...] = ()
        self._model: Arrays = {}
        self._scorer: Scorer | None = None

    @classmethod
    def of(cls, decoder: Decoder, statistic: Statistic, heads: int, rule: str) -> Self:
        """An empty guard of these parts, as a file has them."""
        return cls(decoder, statistic, heads, rule=rule)

    def measure(
        self, prompts: Iterable[Any], heads: Sequence[Head] | None = None, *, progress: Progress | None = None,
        store: FeatureStore | None = None,
    ) -> Features:  # fmt: skip
        """Run prompts once and keep what the statistic measures of these heads, or all; see `features.measure`.

        What it returns may be split, and given wherever prompts are.
        """
        return measure(
            self.decoder, prompts, self.statistic, heads, batch=self.batch, progress=progress, store=store,
            source=self._source,
        )  # fmt: skip

    @cached_property
    def _source(self) -> dict[str, str]:
        return source_of(self.decoder, self.statistic)

    # Search.

    def search(
        self, unsafe: Prompts, safe: Prompts, *, permutations: int = 100, progress: Progress | None = None,
        store: FeatureStore | None = None, candidates: Sequence[Head] | None = None, seed: int = 0,
    ) -> SearchReport:  # fmt: skip
        """Choose heads that tell these prompts apart, and learn what the statistic needs of them.

        permutations: shuffles of the labels that the choice is repeated on. progress: called with the prompts done and
        those in all. store: a file of features to go on from. candidates: heads to choose among, by default all; for
        `full` and `exact`, which run the model again for every head, those that `last_query` likes.
        A calibration of before is dropped. A prompt given before is left out, because cross-validation would test on
        what it learned from. Raises ProfileError, naming the number, below 10 prompts of either kind that
        can be judged, and for a prompt that is called both; MismatchError for features or a store of another model.
        """
        if permutations < 0:
            raise ValueError(f"expected 0 or more permutations, got {permutations}")
        heads = None if candidates is None else tuple(dict.fromkeys((int(a), int(b)) for a, b in candidates))
        if heads is not None:
            check_heads(heads, self.decoder)
        kinds = self._measured_both(unsafe, safe, heads, progress, store)
        heads = kinds["unsafe"].heads if heads is None else heads
        both = set(kinds["unsafe"].digests) & set(kinds["safe"].digests) - {""}
        if both:
            raise ProfileError(f"expected each prompt to be unsafe or safe, got {len(both)} that are called both")
        repeated = {kind: features.repeated for kind, features in kinds.items()}
        judged = {kind: features.judged & ~repeated[kind] for kind, features in kinds.items()}
        skipped = tuple(
            (kind, int(i), features.reasons[i] or ("it was given before" if again else "NaN or Inf in the model"))
            for kind, features in kinds.items()
            for i, again in enumerate(repeated[kind])
            if not judged[kind][i]
        )
        numbers = {kind: int(mask.sum()) for kind, mask in judged.items()}
        check_enough(numbers["unsafe"], numbers["safe"], skipped)
        values = np.concatenate([features.of(heads)[judged[kind]] for kind, features in kinds.items()])
        labels = np.arange(len(values)) < numbers["unsafe"]
        choice = choose(
            self.statistic, values, labels, self.heads, rule=self.rule, permutations=permutations, seed=seed
        )
        chosen = tuple(heads[i] for i in choice.chosen)
        self.learn(chosen, self.statistic.fit(values[:, choice.chosen], labels))
        self.searched = frozenset(
            digest for kind, features in kinds.items() for digest in features[judged[kind]].digests if digest
        )
        self.report = SearchReport(
            describe_statistic(self.statistic), self.rule, self._map(heads, choice.auroc),
            self._map(heads, choice.separation), chosen, choice.found, choice.null, choice.p_value, numbers["unsafe"],
            numbers["safe"], skipped,
        )  # fmt: skip
        return self.report

    def learn(self, chosen: Sequence[Head], model: Arrays) -> None:
        """Take heads and the model of them, as a file has them. A calibration of before is dropped."""
        check_heads(chosen, self.decoder)
        self._chosen, self._model = tuple(chosen), dict(model)
        self._scorer = self.statistic.scorer(self._model)
        self.calibration = None

    def _measured_both(
        self, unsafe: Prompts, safe: Prompts, heads: Sequence[Head] | None, progress: Progress | None,
        store: FeatureStore | None,
    ) -> dict[str, Features]:  # fmt: skip
        if isinstance(unsafe, Features) or isinstance(safe, Features):
            return {
                "unsafe": self._features(unsafe, heads, None, store),
                "safe": self._features(safe, heads, None, store),
            }
        things = listed(unsafe)
        whole = self.measure([*things, *listed(safe)], heads, progress=progress, store=store)
        return {"unsafe": whole[: len(things)], "safe": whole[len(things) :]}

    def _features(
        self, prompts: Prompts, heads: Sequence[Head] | None, progress: Progress | None, store: FeatureStore | None
    ) -> Features:
        if isinstance(prompts, Features):
            check_source(prompts, self.decoder, self.statistic)
            return prompts
        return self.measure(prompts, heads, progress=progress, store=store)

    def _map(self, heads: Sequence[Head], values: np.ndarray) -> np.ndarray:
        whole = np.full((self.decoder.layers, self.decoder.heads), np.nan)
        for (layer, head), value in zip(heads, values, strict=True):
            whole[layer, head] = value
        return whole

    # What was chosen.

    @property
    def chosen(self) -> list[Head]:
        """The (layer, head) pairs, best first. Raises NotReadyError before a search."""
        self._searched()
        return list(self._chosen)

    @property
    def model(self) -> Arrays:
        """What the statistic learned of the chosen heads, by name. Raises NotReadyError before a search."""
        self._searched()
        return self._model

    @property
    def threshold(self) -> float:
        """The score above which a prompt is flagged. Raises NotReadyError before a calibration."""
        return self._calibrated().threshold

    @property
    def keep(self) -> int | None:
        """What a prefill that is handed to `judge` must keep, as ``decoder.prefill(inputs, keep=guard.keep)``."""
        return self.statistic.keep(self.chosen)

    def read_out_weights(self) -> tuple[list[Head], np.ndarray, float]:
        """The linear read-out: heads, weights (heads, head_dim) float32 and bias; score = Σ weights · output + bias.

        Raises ValueError for another statistic or another kind of read-out.
        """
        heads = self.chosen
        if set(self._model) != {"weights", "bias"} or self.statistic.measured != "read_out":
            raise ValueError(f"expected a read-out of kind lda, which is linear, got {self.statistic!r}")
        weights = (self._model["weights"].astype(np.float64) / len(heads)).astype(np.float32)
        return heads, weights, float(self._model["bias"].mean())

    # Calibration.

    def calibrate(
        self, safe: Prompts, false_alarm_rate: float = 0.05, *, progress: Progress | None = None,
        store: FeatureStore | None = None,
    ) -> HeadCalibration:  # fmt: skip
        """Set the threshold on safe prompts that the search has not seen: split conformal, see `conformal_threshold`.

        A prompt that the search has seen, or that cannot be judged, is left out with a warning. Raises NotReadyError
        before a search, CalibrationError naming the number of prompts needed.
        """
        return self._calibrate(safe, false_alarm_rate, progress, store)

    def _calibrate(
        self, safe: Prompts, false_alarm_rate: float, progress: Progress | None, store: FeatureStore | None
    ) -> HeadCalibration:
        features = self._features(safe, self.chosen, progress, store)
        usable_here, excluded = usable(features, self.searched)
        for reason, count in excluded.items():
            if count:
                warn(f"{count} of {len(features)} safe prompts were left out: {reason}")
        features = features[usable_here]
        heads, scores = self.head_scores(features.of(self._chosen))
        self.calibration = calibrate(heads, scores, features.lengths, false_alarm_rate, excluded)
        return self.calibration

    def recalibrate(
        self, safe: Prompts, false_alarm_rate: float | None = None, *, progress: Progress | None = None,
        store: FeatureStore | None = None,
    ) -> HeadCalibration:  # fmt: skip
        """Keep the heads, set the threshold anew; by default for the rate of before. See `calibrate`."""
        rate = self._calibrated().false_alarm_rate if false_alarm_rate is None else false_alarm_rate
        return self._calibrate(safe, rate, progress, store)

    def compare(self, safe: Prompts, *, level: float = 0.01, progress: Progress | None = None) -> HeadDrift:
        """Compare safe prompts of now with those of the calibration, and warn where they are of another kind.

        level: the chance of a warning without a change. Raises CalibrationError below 20 prompts that can be judged.
        """
        calibration = self._calibrated()
        features = self._features(safe, self._chosen, progress, None)
        features = features[np.array([not reason for reason in features.reasons], bool)]
        _, scores = self.head_scores(features.of(self._chosen))
        found = compare(calibration, scores, features.lengths, level)
        warn_of(found)
        return found

    # Verdicts.

    def check(self, prompts: Prompts, *, progress: Progress | None = None) -> list[Verdict]:
        """A verdict on each prompt, in order. One that cannot be judged is a FAULT with its reason, never OK."""
        calibration = self._calibrated()
        features = self._features(prompts, self._chosen, progress, None)
        verdicts = self._verdicts(features.of(self._chosen))
        for i, reason in enumerate(features.reasons):
            if reason:
                verdicts[i] = refused(calibration, len(self._chosen), reason)
        return verdicts

    def judge(self, prefill: Prefill) -> list[Verdict]:
        """A verdict on each prompt of a pass that was run already; it must have kept what `keep` says."""
        self._calibrated()
        return self._verdicts(self.statistic.measure(self.decoder, prefill, self._chosen))

    def scores(self, prompts: Prompts, *, progress: Progress | None = None) -> np.ndarray:
        """The score of each prompt, (n,) float64, NaN for one that cannot be judged. Needs no calibration."""
        features = self._features(prompts, self.chosen, progress, None)
        scores = np.full(len(features), np.nan)
        judged = features.judged
        scores[judged] = self.head_scores(features.of(self._chosen)[judged])[1]
        return scores

    def _verdicts(self, values: np.ndarray) -> list[Verdict]:
        calibration = self._calibrated()
        heads, scores = self.head_scores(values)
        return [
            verdict_of(calibration, self._chosen, values[i], heads[i], float(scores[i])) for i in range(len(values))
        ]

    def head_scores(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The scores of the heads, (n, heads), and of the prompts, (n,)."""
        with np.errstate(invalid="ignore", over="ignore"):
            heads = self._searched()(values)
            return heads, self.statistic.combine(self._model, heads)

    def _searched(self) -> Scorer:
        if self._scorer is None:
            raise NotReadyError("expected a guard with heads, got one that has not searched; call search()")
        return self._scorer

    def _calibrated(self) -> HeadCalibration:
        self._searched()
        if self.calibration is None:
            raise NotReadyError("expected a calibrated guard, got one without a threshold; call calibrate()")
        return self.calibration

    # Files.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write heads, model and calibration as one file. Raises NotReadyError before a search, ProfileError."""
        from .files import write_guard

        write_guard(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str], decoder: Decoder, *, key: str | os.PathLike[str] | None = None) -> Self:
        """The guard from a file, for the model it was made with.

        key: the file of a public key, whose owner must have signed the file then; without one no signature is looked
        at. Raises MismatchError naming what differs for another model, dtype or encoding; ProfileError for a damaged
        file or one of another kind, SignatureError, FileNotFoundError for none.
        """
        from .files import read_guard

        return read_guard(path, decoder, cls, key)

    def __repr__(self) -> str:
        state = "calibrated" if self.calibration else "searched" if self._scorer else "empty"
        heads = ", ".join(head_name(head) for head in self._chosen[:3]) + ", …" * (len(self._chosen) > 3)
        return f"{type(self).__name__}[{state}]({self.statistic!r}; {heads or 'no heads'})"


@strict
class CriticalHead(HeadGuard):
    """The deflection of one head (One-head Defense, NeurIPS 2025).

    statistic: "full" as published, "exact", its equal, or "last_query", our cheaper variant. rule: "auroc" or "paper".
    Ours are the threshold, conformal on safe prompts, and the choice by AUROC. Raises ValueError for another statistic.
    """

    def __init__(
        self, decoder: Decoder, statistic: str | Statistic = "last_query", *, rule: str = "auroc", batch: int = 1
    ) -> None:
        super().__init__(decoder, statistic, 1, rule=rule, batch=batch)
        if self.statistic.learns:
            raise ValueError(f"expected the deflection of a head, got {self.statistic.name}; take HeadGuard")

    @classmethod
    def of(cls, decoder: Decoder, statistic: Statistic, heads: int, rule: str) -> Self:
        """An empty guard of these parts. Raises ValueError unless it is of one head."""
        if heads != 1:
            raise ValueError(f"expected one head, got {heads}")
        return cls(decoder, statistic, rule=rule)

    @property
    def head(self) -> Head:
        """The (layer, head). Raises NotReadyError before a search."""
        return self.chosen[0]


def check_heads(heads: Sequence[Head], decoder: Decoder) -> None:
    """Raise ValueError for a head that the model lacks or that is named twice, or none at all."""
    if not heads:
        raise ValueError("expected at least one head, got none")
    if len(set(heads)) < len(heads):
        raise ValueError(f"expected each head once, got {', '.join(map(head_name, heads))}")
    for layer, head in heads:
        if not (0 <= layer < decoder.layers and 0 <= head < decoder.heads):
            raise ValueError(
                f"expected heads of {decoder.layers} layers x {decoder.heads} heads, got {head_name((layer, head))}"
            )
