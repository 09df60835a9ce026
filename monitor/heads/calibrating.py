"""The threshold of a guard of heads, set on safe prompts alone, and the verdicts that follow from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..calibration import check_rate, clopper_pearson, conformal_threshold, needed_samples
from ..errors import CalibrationError
from ..verdict import Status, Verdict, why
from .features import Features
from .statistic import Head, head_name

NAMED = 8
"""The most heads that a verdict names."""


@dataclass(frozen=True)
class HeadCalibration:
    """The threshold and what it rests on.

    false_alarm_rate: the rate asked for. threshold: the score above which a prompt is flagged. scores, lengths: (n,)
    float64 and int64, of the safe prompts in their order, tokens in `lengths`. limits: (heads,) float32, the score
    above which a head speaks: its own threshold at the same rate. flagged: how many of the `judged` safe prompts are,
    those with NaN or Inf included. excluded: safe prompts left out, by reason.
    """

    false_alarm_rate: float
    threshold: float
    scores: np.ndarray
    lengths: np.ndarray
    limits: np.ndarray
    flagged: int
    judged: int
    excluded: dict[str, int] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """The safe prompts that set the threshold."""
        return len(self.scores)

    @property
    def realised(self) -> float:
        """The share of the judged safe prompts that is flagged."""
        return self.flagged / self.judged

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Clopper-Pearson interval of `realised`."""
        return clopper_pearson(self.flagged, self.judged)

    @property
    def floor(self) -> float:
        """The lowest of the scores: there the confidence is 1."""
        return float(self.scores.min())

    def confidence(self, score: float) -> float:
        """exp(-ln 2 · (score − floor) / (threshold − floor)), from 1 at the floor and below to 1/2 at the threshold.

        Rossolini et al. (IEEE TSE 2022) have scores from 0; those of heads may be negative, so they count from `floor`.
        """
        above, room = max(score - self.floor, 0.0), self.threshold - self.floor
        if room > 0:
            return math.exp(-math.log(2) * above / room)
        return 1.0 if above <= 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The calibration in JSON types, without the prompts' own numbers."""
        return {
            "false_alarm_rate": self.false_alarm_rate,
            "threshold": self.threshold,
            "n": self.n,
            "realised": self.realised,
            "interval": list(self.interval),
            "excluded": dict(self.excluded),
        }

    def __str__(self) -> str:
        low, high = self.interval
        lines = [
            f"threshold {self.threshold:.4g} from {self.n:,} safe prompts",
            (
                f"false-alarm rate {self.false_alarm_rate:g} asked for; {self.realised:.4g} seen on them"
                f" (95 % interval {low:.4g} to {high:.4g})"
            ),
        ]
        lines += [f"{count} safe prompts left out: {reason}" for reason, count in self.excluded.items() if count]
        return "\n".join(lines)


def calibrate(
    heads: np.ndarray, scores: np.ndarray, lengths: np.ndarray, rate: float, excluded: dict[str, int]
) -> HeadCalibration:
    """Split conformal on safe prompts.

    heads: (n, heads) float64. scores: (n,) float64. A prompt with a score that is not finite counts as flagged and sets
    nothing. Raises CalibrationError naming the number needed, ValueError for a rate outside (0, 1).
    """
    check_rate(rate)
    finite = np.isfinite(scores) & np.isfinite(heads).all(axis=1)
    needed = needed_samples(rate)
    if finite.sum() < needed:
        raise CalibrationError(
            f"expected at least {needed} safe prompts for a false-alarm rate of {rate:g}, got {int(finite.sum())} that"
            " can be judged; give more, or ask for a higher rate"
        )
    threshold = conformal_threshold(scores[finite], rate)
    limits = [conformal_threshold(one, rate) for one in heads[finite].astype(np.float32).T]
    flagged = int((scores[finite] > threshold).sum() + (~finite).sum())
    return HeadCalibration(
        rate, threshold, scores[finite].astype(np.float64), lengths[finite].astype(np.int64),
        np.array(limits, np.float32), flagged, len(scores), excluded,
    )  # fmt: skip


def verdict_of(
    calibration: HeadCalibration, heads: Sequence[Head], values: np.ndarray, scores: np.ndarray, score: float
) -> Verdict:
    """The verdict on one prompt. values: (heads, size). scores: (heads,) float64."""
    broken = np.flatnonzero(~(np.isfinite(values).all(axis=1) & np.isfinite(scores)))
    if len(broken):
        return refused(calibration, len(heads), f"NaN or Inf in the model, at {head_name(heads[broken[0]])}")
    if not math.isfinite(score):
        return refused(calibration, len(heads), "the score is not finite")
    deviation, threshold = scores.astype(np.float32), calibration.threshold
    confidence = calibration.confidence(score)
    if score <= threshold:
        return Verdict(Status.OK, score, threshold, confidence, -1, deviation)
    excess = deviation - calibration.limits
    order = np.argsort(-excess, kind="stable")[:NAMED]
    layers = tuple(head_name(heads[i]) for i in order if excess[i] > 0)
    reason = why(Status.ALARM, score, threshold, layers)
    return Verdict(Status.ALARM, score, threshold, confidence, -1, deviation, layers, reason)


def refused(calibration: HeadCalibration, heads: int, reason: str) -> Verdict:
    """The verdict on a prompt that cannot be judged: FAULT, a score of +inf and a confidence of 0."""
    deviation = np.full(heads, np.inf, np.float32)
    return Verdict(Status.FAULT, math.inf, calibration.threshold, 0.0, -1, deviation, (), reason)


def usable(features: Features, known: frozenset[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Which prompts may calibrate, (n,) bool, and how many may not, by reason; `known` are those searched with."""
    run = np.array([not reason for reason in features.reasons], bool)
    seen = np.array([bool(digest) and digest in known for digest in features.digests], bool)
    return run & ~seen, {
        "they cannot be judged": int((~run).sum()),
        "the search has seen them": int((run & seen).sum()),
    }
