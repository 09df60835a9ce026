"""The threshold: set on held-out data, with a false-alarm rate that can be argued for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from .errors import CalibrationError
from .logic import Scales

LEAK = 0.6
"""The AUROC of profiled against held-out frames above which a profile knows its own data."""
LEAST_FOR_LEAK = 20
"""The fewest frames of either kind for which that AUROC is given."""
_CHANCE = 0.05


class ClassRate(NamedTuple):
    """How often the frames of one class alarmed, of those that set the thresholds.

    frames, alarms: counts. interval: the Clopper-Pearson interval of the rate, 0 to 1 without frames.
    """

    class_index: int
    frames: int
    alarms: int
    interval: tuple[float, float]

    @property
    def rate(self) -> float:
        """The share of alarms, NaN without frames."""
        return self.alarms / self.frames if self.frames else math.nan


@dataclass(frozen=True, eq=False)  # of arrays: two are the same where they are one
class Calibration:
    """Thresholds and what they rest on.

    false_alarm_rate: the α that was asked for. thresholds: (classes,) float64. own: (classes,) bool, whether a class
    has a threshold of its own (Mondrian) or the pooled one. n: held-out frames that set the thresholds. n_scales: other
    held-out frames, which set the scales of the detection logic. realised: the share of the n that alarms, excluded
    frames included. interval: its 95 % Clopper-Pearson interval. leak: the AUROC of profiled against held-out frames,
    None with fewer than 20 of either. Above 0.6 the profile tells its own data from new data. excluded: held-out frames
    left out, by reason. warning_thresholds: as thresholds, or None. scales: what the logic learned. limits:
    (columns,) float32, the deviation above which a column speaks. scores: (m,) float64, of the frames that set the
    thresholds, in their order; the n count excluded frames too. predictions: (m,) int64, their classes. Both are None
    in files of older versions.
    """

    false_alarm_rate: float
    thresholds: np.ndarray
    own: np.ndarray
    n: int
    n_scales: int
    realised: float
    interval: tuple[float, float]
    leak: float | None
    limits: np.ndarray
    scales: Scales
    excluded: dict[str, int] = field(default_factory=dict)
    warning_rate: float | None = None
    warning_thresholds: np.ndarray | None = None
    scores: np.ndarray | None = None
    predictions: np.ndarray | None = None

    def by_class(self, level: float = 0.95) -> tuple[ClassRate, ...]:
        """The rate of false alarms in each class, (classes,), as the thresholds now are.

        Frames that were excluded have no score and are in none. level: of the intervals.
        Raises CalibrationError for a calibration of an older file, which does not hold the scores of its frames.
        """
        scores, predictions = self._kept()
        classes = len(self.thresholds)
        frames = np.bincount(predictions, minlength=classes).tolist()
        alarms = np.bincount(predictions[scores > self.thresholds[predictions]], minlength=classes).tolist()
        return tuple(
            ClassRate(index, n, count, clopper_pearson(count, n, level))
            for index, (n, count) in enumerate(zip(frames, alarms, strict=True))
        )

    def too_often(self) -> tuple[ClassRate, ...]:
        """The classes that clearly alarm more often than was asked for, the highest rate first.

        With every class at the rate asked for, one is named in at most 5 % of calibrations: the levels of the intervals
        that decide are shared out among the classes (Bonferroni). Those of the result are 95 % intervals.
        Raises CalibrationError as `by_class` does.
        """
        seen = sum(one.frames > 0 for one in self.by_class())
        decided = self.by_class(1 - _CHANCE / max(seen, 1))
        found = [one for one in self.by_class() if decided[one.class_index].interval[0] > self.false_alarm_rate]
        return tuple(sorted(found, key=lambda one: -one.rate))

    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores and classes of the frames that set the thresholds."""
        if self.scores is None or self.predictions is None:
            raise CalibrationError(
                "expected a calibration that holds the scores of its frames, got one of an older file; calibrate anew"
            )
        return self.scores, self.predictions

    def with_thresholds(self, thresholds: np.ndarray) -> Calibration:
        """The same with thresholds given by hand, (classes,) float64, and the rate that its own frames have with them.

        Warning thresholds above them come down to them. Raises CalibrationError for a calibration of an older file,
        which does not hold the scores of its frames.
        """
        scores, predictions = self._kept()
        false_alarms = int((scores > thresholds[predictions]).sum()) + self.n - len(scores)
        warning = self.warning_thresholds
        return replace(
            self,
            thresholds=thresholds,
            own=np.full(len(thresholds), bool((thresholds != thresholds[0]).any())),
            realised=false_alarms / self.n,
            interval=clopper_pearson(false_alarms, self.n),
            warning_thresholds=None if warning is None else np.minimum(warning, thresholds),
        )

    def __str__(self) -> str:
        low, high = self.interval
        whose = f"{self.own.sum()} of {len(self.own)} classes with their own" if self.own.any() else "one for all"
        lines = [
            self._split,
            (
                f"false-alarm rate {self.false_alarm_rate:g} asked for; {self.realised:.4g} seen on {self.n}"
                f" held-out frames (95 % interval {low:.4g} to {high:.4g})"
            ),
            f"threshold {_span(self.thresholds)}, {whose}",
        ]
        if self.leak is not None:
            lines.append(f"profiled against held-out frames: AUROC {self.leak:.3f} (0.5 is ideal)")
        lines += [f"{count} frames left out: {reason}" for reason, count in self.excluded.items() if count]
        return "\n".join(lines)

    @property
    def _split(self) -> str:
        """How the held-out frames were split."""
        if not self.n_scales:
            return f"{self.n:,} held-out frames set the threshold"
        return f"{self.n + self.n_scales:,} held-out frames: {self.n_scales:,} set the scales, {self.n:,} the threshold"


def _span(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def false_alarm_rate(fps: float, hours: float) -> float:
    """The rate per frame that means one false alarm in `hours` at `fps` frames per second.

    Raises ValueError unless both are positive and the rate is below 1.
    """
    if not (fps > 0 and hours > 0 and fps * hours * 3600 > 1):
        raise ValueError(f"expected positive fps and hours of more than one frame, got {fps} and {hours}")
    return 1 / (fps * hours * 3600)


def needed_samples(rate: float) -> int:
    """The held-out frames a split-conformal threshold needs for a false-alarm rate: n with ⌈(n+1)(1-α)⌉ <= n."""
    return math.ceil(1 / rate - 1 - 1e-9)


def conformal_threshold(scores: np.ndarray, rate: float) -> float:
    """The ⌈(n+1)(1-α)⌉-th smallest score: an exchangeable new one exceeds it with probability at most α.

    Split conformal prediction (Vovk et al., 2005). scores: (n,). Raises CalibrationError naming the n needed.
    """
    check_rate(rate)
    if np.isnan(scores).any():
        raise CalibrationError("expected scores that are numbers, got NaN")
    n = len(scores)
    k = math.ceil((n + 1) * (1 - rate) - 1e-9)
    if k > n:
        raise CalibrationError(
            f"expected at least {needed_samples(rate)} held-out frames for a false-alarm rate of {rate:g}, got {n};"
            " give more, or ask for a higher rate"
        )
    return float(np.partition(scores, k - 1)[k - 1])


def check_rate(rate: float) -> None:
    """Raise ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"expected a false-alarm rate between 0 and 1, such as 0.01, got {rate!r}")


def thresholds_by_class(
    scores: np.ndarray, predictions: np.ndarray, classes: int, rate: float, per_class: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(classes,) thresholds, and whether each is the class's own: pooled where a class has too few samples."""
    thresholds = np.full(classes, conformal_threshold(scores, rate))
    own = np.zeros(classes, bool)
    if per_class:
        for c, count in enumerate(np.bincount(predictions, minlength=classes)):
            if count >= needed_samples(rate):
                thresholds[c] = conformal_threshold(scores[predictions == c], rate)
                own[c] = True
    return thresholds, own


def clopper_pearson(count: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a rate of which `count` of `n` were seen (Clopper and Pearson, 1934)."""
    from scipy.special import betaincinv  # scipy.stats takes seconds to import, and whoever loads a profile waits

    outside = (1 - level) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, outside))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - outside))
    return low, high


def auroc(low: np.ndarray, high: np.ndarray) -> float:
    """The chance that a score of `high` exceeds one of `low`, ties counting half."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(high, low).statistic / (len(low) * len(high)))
