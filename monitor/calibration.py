"""The threshold: set on held-out data, with a false-alarm rate that can be argued for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .data.changes import CALIBRATED, SCALES_KEPT, SET_BY_HAND
from .data.promises import promise_in_words
from .errors import CalibrationError
from .logic import Scales

if TYPE_CHECKING:
    from .kinds import Kinds

LEAK = 0.6
"""The AUROC of profiled against held-out frames above which a profile knows its own data."""
LEAST_FOR_LEAK = 20
"""The fewest frames of either kind for which that AUROC is given."""
_CHANCE = 0.05
_OFTEN = 2.0


class ClassRate(NamedTuple):
    """How often the frames of one class alarmed, of those that set the thresholds.

    frames, alarms: counts. rate, interval: as of `rate_seen`; NaN and 0 to 1 without frames.
    """

    class_index: int
    frames: int
    alarms: int
    rate: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False)  # of arrays: two are the same where they are one
class Calibration:
    """Thresholds and what they rest on.

    false_alarm_rate: the α that was asked for. thresholds: (classes,) float64. own: (classes,) bool, whether a class
    has a threshold of its own (Mondrian) or the one that all others share. n: held-out frames that set the thresholds.
    n_scales: other held-out frames, which set the scales of the detection logic. realised: the share of the n that
    alarms, excluded frames included; with drives its mean over them. interval: 95 %, see `rate_seen`. leak: the AUROC
    of profiled against held-out frames, None with fewer than 20 of either. Above 0.6 the profile tells its own data.
    excluded: held-out frames left out, by reason. warning_thresholds: as thresholds, or None. scales: what the logic
    learned. limits: (columns,) float32, the deviation above which a column speaks. scores: (m,) float64, of the frames
    that set the thresholds, in their order; the n count excluded frames too. predictions: (m,) int64, their classes.
    Both are None in files of older versions. drives: (m,) int64, the drive of each, counted from 0; None where each
    frame counted. raised: (classes,) float64, by how much the shared threshold is higher for a class of which less
    was profiled, see `raised_where_few`; None where all classes have one threshold, and in files of older versions.
    group_confidence: the chance that the rate holds over a whole new drive, see `threshold_of_groups`; None where it is
    that of a frame. The scores then have +inf for frames that always alarm. set_by: what set the thresholds, in the
    words of `Change.what`.
    kinds: what names the kind of an alarm, None where none were learned. boxes: the calibration of the detections of a
    detector, of which n counts the boxes, see `calibrate_boxes`; else None.
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
    drives: np.ndarray | None = None
    raised: np.ndarray | None = None
    group_confidence: float | None = None
    set_by: str = CALIBRATED
    kinds: Kinds | None = None
    boxes: Calibration | None = None

    @property
    def promise(self) -> str:
        """What may be relied on, in words: on which frames the rate holds, and on which it does not."""
        frames = self.n if self.scores is None else len(self.scores)
        drives = None if self.drives is None else count_drives(self.drives)
        return promise_in_words(
            self.false_alarm_rate, frames, self.n - frames, drives, self.group_confidence, self.set_by
        )

    def by_class(self, level: float = 0.95) -> tuple[ClassRate, ...]:
        """The rate of false alarms in each class, (classes,), as the thresholds now are.

        Frames that were excluded have no score and are in none. level: of the intervals.
        Raises CalibrationError for a calibration of an older file, which does not hold the scores of its frames.
        """
        scores, predictions = self._kept()
        above = scores > self.thresholds[predictions]
        found = []
        for index in range(len(self.thresholds)):
            of_class = (predictions == index) & np.isfinite(scores)
            own, drives = above[of_class], None if self.drives is None else self.drives[of_class]
            rate = rate_seen(own, len(own), drives, level) if len(own) else (math.nan, (0.0, 1.0))
            found.append(ClassRate(index, len(own), int(own.sum()), *rate))
        return tuple(found)

    def too_often(self) -> tuple[ClassRate, ...]:
        """The classes that alarm at least twice as often as was asked for, and not by chance, the highest rate first.

        With every class at the rate asked for, one is named in at most 5 % of calibrations: the levels of the intervals
        that decide are shared out among the classes (Bonferroni). Those of the result are 95 % intervals.
        Raises CalibrationError as `by_class` does.
        """
        seen = sum(one.frames > 0 for one in self.by_class())
        decided = self.by_class(1 - _CHANCE / max(seen, 1))
        asked = self.false_alarm_rate
        found = [
            one
            for one, sure in zip(self.by_class(), decided, strict=True)
            if sure.interval[0] > asked and one.rate >= _OFTEN * asked
        ]
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
        realised, interval = rate_seen(scores > thresholds[predictions], self.n, self.drives)
        warning = self.warning_thresholds
        return replace(
            self,
            thresholds=thresholds,
            own=np.full(len(thresholds), bool((thresholds != thresholds[0]).any())),
            realised=realised,
            interval=interval,
            warning_thresholds=None if warning is None else np.minimum(warning, thresholds),
            raised=None,
            set_by=SET_BY_HAND,
        )

    def __str__(self) -> str:
        low, high = self.interval
        lines = [
            self._split,
            (
                f"false-alarm rate {self.false_alarm_rate:g} asked for; {self.realised:.4g} seen on {self.n}"
                f" held-out frames{self._of_drives} (95 % interval {low:.4g} to {high:.4g})"
            ),
            f"threshold {_span(self.thresholds)}, {self._whose}",
            f"promised: {self.promise}",
        ]
        if self.leak is not None:
            lines.append(f"profiled against held-out frames: AUROC {self.leak:.3f} (0.5 is ideal)")
        lines += [f"{count} frames left out: {reason}" for reason, count in self.excluded.items() if count]
        if self.boxes is not None:
            lines += self.boxes.told_of_boxes("frames" if self.drives is None else "drives")
        return "\n".join(lines)

    def told_of_boxes(self, groups: str) -> list[str]:
        """What there is to say of a calibration of boxes. groups: the word for what each counts as a drive."""
        (low, high), drawn = self.interval, 0 if self.drives is None else count_drives(self.drives)
        seen = np.unique(np.empty(0, np.int64) if self.predictions is None else self.predictions)
        own = int(self.own.sum())
        others = "one for all" if not own else f"{own} of {len(seen)} classes with their own"
        rate = f"false-alarm rate {self.false_alarm_rate:g} asked for; {self.realised:.4g} seen on {self.n:,}"
        lines = [
            f"detections: {rate} held-out boxes of {drawn:,} {groups} (95 % interval {low:.4g} to {high:.4g})",
            f"detections: threshold {_span(self.thresholds[seen])}, {others}",
        ]
        return lines + [f"{count} detections left out: {reason}" for reason, count in self.excluded.items() if count]

    @property
    def _split(self) -> str:
        """How the held-out frames were split."""
        if not self.n_scales:
            return f"{self.n:,} held-out frames{self._of_drives} set the threshold"
        both, scales = f"{self.n + self.n_scales:,} held-out frames", f"{self.n_scales:,} set the scales"
        if self.set_by == SCALES_KEPT:
            return f"{self.n:,} held-out frames{self._of_drives} set the threshold; {scales} before"
        return f"{both}: {scales}, {self.n:,}{self._of_drives} the threshold"

    @property
    def _whose(self) -> str:
        """Which classes have a threshold of their own, and on what that of the others rests."""
        own, classes = int(self.own.sum()), len(self.own)
        told = f"{own} of {classes} classes with their own" if own else ""
        if self.raised is None or own == classes:
            return told or "one for all"
        on = ""
        if own and self.predictions is not None:
            setting = sharing(self.predictions, self.own, self.false_alarm_rate, self.drives)
            on = f" on {setting.sum():,} frames of theirs" if not setting.all() else " on all frames"
        higher = int((self.raised[~self.own] > 0).sum())
        few = f", raised for {higher} of which less was profiled" if higher else ""
        return f"{told}, {classes - own} share one{on}{few}" if own else f"one for all{few}"

    @property
    def _of_drives(self) -> str:
        return "" if self.drives is None else f" of {count_drives(self.drives):,} drives"


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


def conformal_threshold(scores: np.ndarray, rate: float, drives: np.ndarray | None = None) -> float:
    """The ⌈(n+1)(1-α)⌉-th smallest score: an exchangeable new one exceeds it with probability at most α.

    Split conformal prediction (Vovk et al., 2005). scores: (n,). drives: (n,), which drive each is of. Then a frame
    drawn from a new drive exceeds it with probability at most α, where drives are exchangeable: each of K weighs
    1 / (K + 1), shared out among its frames, and the new one is taken to lie above all (hierarchical conformal
    prediction, Lee, Barber and Willett, 2023). Raises CalibrationError naming the n, or the K, needed.
    """
    check_rate(rate)
    if np.isnan(scores).any():
        raise CalibrationError("expected scores that are numbers, got NaN")
    n = len(scores) if drives is None else count_drives(drives)
    wanted = (n + 1) * (1 - rate) - 1e-9
    k = math.ceil(wanted)
    if k > n:
        raise CalibrationError(
            f"expected at least {needed_samples(rate)} held-out {'frames' if drives is None else 'drives'} for a"
            f" false-alarm rate of {rate:g}, got {n}; give more, or ask for a higher rate"
        )
    if drives is None:
        return float(np.partition(scores, k - 1)[k - 1])
    _, number, sizes = np.unique(drives, return_inverse=True, return_counts=True)
    order = np.argsort(scores)
    passed = np.cumsum(1 / sizes[number[order]])
    return float(scores[order[min(int(np.searchsorted(passed, wanted)), len(order) - 1)]])


def threshold_of_groups(scores: np.ndarray, drives: np.ndarray, rate: float, confidence: float) -> float:
    """The lowest threshold at which a whole new drive has at most a share α of alarms, with a chance of at least c.

    Each of K drives has a threshold of its own: the lowest above which at most α of its frames lie. These K numbers are
    conformal scores of drives: the ⌈(K+1)c⌉-th smallest is not exceeded by that of a new drive, drawn like them, with a
    chance of at least c. How the frames of a drive depend on each other does not matter. scores: (n,), +inf for frames
    that always alarm. drives: (n,), which drive each is of. Raises ValueError for a confidence outside 0 to 1 and
    CalibrationError naming the K needed, or where more drives than may have too many frames that always alarm.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, such as 0.9, got {confidence!r}")
    check_rate(rate)
    _, number = np.unique(drives, return_inverse=True)
    order = np.lexsort((-scores, number))
    sizes = np.bincount(number)
    first = np.cumsum(sizes) - sizes
    own = scores[order][first + np.floor(rate * sizes + 1e-9).astype(np.int64)]
    if len(own) < needed_samples(1 - confidence):
        raise CalibrationError(
            f"expected at least {needed_samples(1 - confidence)} held-out drives for a chance of {confidence:g} that"
            f" the rate holds over a whole new one, got {len(own)}; give more drives, or ask for a lower"
            " group_confidence"
        )
    found = conformal_threshold(own, 1 - confidence)
    if not np.isfinite(found):
        raise CalibrationError(
            f"expected at most {rate:g} of the frames of a drive left out, got more in {int(np.isinf(own).sum())} of"
            f" {len(own)} drives: these frames always alarm; a warning says why they were left out"
        )
    return found


def count_drives(drives: np.ndarray) -> int:
    """How many there are among the drives of frames, (n,)."""
    return len(np.unique(drives))


def check_rate(rate: float) -> None:
    """Raise ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"expected a false-alarm rate between 0 and 1, such as 0.01, got {rate!r}")


def thresholds_by_class(
    scores: np.ndarray, predictions: np.ndarray, classes: int, rate: float, per_class: bool,
    drives: np.ndarray | None = None, raised: np.ndarray | None = None, confidence: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(classes,) thresholds, and whether each is the class's own; classes with too little share one.

    raised: as of `Calibration`. The shared threshold is then set on the frames of the classes that share it, where
    there are enough of them, and is that much higher. Without it, it is set on the frames of all classes.
    Which classes share is known from the predictions alone, before a score is (Mondrian conformal prediction, Vovk et
    al., 2005). So the rate holds in each class with its own threshold, and over those that share as they come.
    confidence: as for `threshold_of_groups`, which then sets one threshold for all.
    """
    own = np.zeros(classes, bool)
    if confidence is not None and drives is not None:
        return np.full(classes, threshold_of_groups(scores, drives, rate, confidence)), own
    for c in range(classes if per_class else 0):
        own[c] = _draws(predictions == c, drives) >= needed_samples(rate)
    setting, lower = np.ones(len(scores), bool), np.zeros(classes) if raised is None else raised
    if raised is not None:
        setting = sharing(predictions, own, rate, drives)
    least = scores[setting] - lower[predictions[setting]]
    shared = conformal_threshold(least, rate, None if drives is None else drives[setting])
    thresholds = np.maximum(shared + lower, 0)
    for c in np.flatnonzero(own).tolist():
        of_class = predictions == c
        thresholds[c] = conformal_threshold(scores[of_class], rate, None if drives is None else drives[of_class])
    return thresholds, own


def sharing(predictions: np.ndarray, own: np.ndarray, rate: float, drives: np.ndarray | None = None) -> np.ndarray:
    """Which frames set the threshold that classes share, (n,) bool: those of these classes, all where they are few."""
    of_theirs: np.ndarray = ~own[predictions]
    return of_theirs if _draws(of_theirs, drives) >= needed_samples(rate) else np.ones(len(predictions), bool)


def _draws(mask: np.ndarray, drives: np.ndarray | None) -> int:
    """How many frames of a mask (n,), or drives that they are of."""
    return int(mask.sum()) if drives is None else count_drives(drives[mask])


def rate_seen(
    above: np.ndarray, n: int, drives: np.ndarray | None = None, level: float = 0.95
) -> tuple[float, tuple[float, float]]:
    """The rate of false alarms among n frames, and its interval.

    above: (m,) bool, whether each frame with a score alarms; the other n - m always do. Without drives it is the share,
    with its Clopper-Pearson interval. drives: (m,), which drive each is of. Then it is the mean of the shares of the
    drives. Its interval is that of as many frames as would vary as much if they were drawn one by one: their number
    comes from how far the drives differ (Korn and Graubard, 1998). Where no two drives differ it is that of drives.
    """
    m = len(above)
    if drives is None:
        count = int(above.sum()) + n - m
        return count / n, clopper_pearson(count, n, level)
    _, number, sizes = np.unique(drives, return_inverse=True, return_counts=True)
    shares = np.bincount(number, above) / sizes
    rate = float(shares.mean() * m + n - m) / n
    worth = _worth(shares, m, level)
    return rate, clopper_pearson(rate * worth, worth, level)


def _worth(shares: np.ndarray, frames: int, level: float) -> float:
    """How many frames drawn one by one tell as much of a rate as these do, whose drives have the shares (K,)."""
    from scipy.special import stdtrit

    k, mean = len(shares), float(shares.mean())
    variance = float(((shares - mean) ** 2).sum()) / max(k * (k - 1), 1)
    if not variance > 0:
        return k
    student = stdtrit(max(frames - 1, 1), (1 + level) / 2) / stdtrit(k - 1, (1 + level) / 2)
    return min(float(frames), mean * (1 - mean) / variance * float(student) ** 2)


def clopper_pearson(count: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a rate of which `count` of `n` were seen (Clopper and Pearson, 1934)."""
    from scipy.special import betaincinv  # scipy.stats takes seconds to import, and whoever loads a profile waits

    outside = (1 - level) / 2
    low = 0.0 if count <= 0 else float(betaincinv(count, n - count + 1, outside))
    high = 1.0 if count >= n else float(betaincinv(count + 1, n - count, 1 - outside))
    return low, high


def auroc(low: np.ndarray, high: np.ndarray) -> float:
    """The chance that a score of `high` exceeds one of `low`, ties counting half. NaN is the highest of scores."""
    from scipy.stats import mannwhitneyu

    above, below = (np.where(np.isnan(scores), np.inf, scores) for scores in (high, low))
    return float(mannwhitneyu(above, below).statistic / (len(low) * len(high)))
