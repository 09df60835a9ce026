"""What an evaluation found: shares with exact intervals, estimates with bootstrap ones, curves; all as JSON too."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from ..calibration import clopper_pearson, rate_seen
from .intervals import Estimate


@dataclass(frozen=True)
class Share:
    """How many of n frames, and the share that is.

    interval: of Clopper and Pearson. Where drives are known the share is the mean of those of the drives, with an
    interval for drives (Korn and Graubard, 1998). Of no frames the share is NaN and the interval 0 to 1.
    """

    count: int
    n: int
    share: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, which: np.ndarray, drives: np.ndarray | None = None, level: float = 0.95) -> Share:
        """Of frames (n,) bool. drives: (n,), the drive of each."""
        count, n = int(which.sum()), len(which)
        if not n:
            return cls(0, 0, math.nan, (0.0, 1.0))
        share, interval = rate_seen(which, n, drives, level)
        return cls(count, n, share, interval)

    @classmethod
    def counted(cls, count: int, n: int, level: float = 0.95) -> Share:
        """Of counts alone."""
        return cls(count, n, count / n if n else math.nan, clopper_pearson(count, n, level) if n else (0.0, 1.0))


@dataclass(frozen=True)
class Curve:
    """A curve from left to right, thinned to at most 200 points for a page. x, y: shares."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Curve:
        """Of points (k,) each, x rising."""
        way = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        chosen = np.unique(np.append(np.searchsorted(way, np.linspace(0, way[-1], 198)), [0, len(x) - 1]))
        return cls(tuple(x[chosen].tolist()), tuple(y[chosen].tolist()))


@dataclass(frozen=True)
class ErrorsSeen:
    """What became of the network's errors in a set with labels.

    accuracy: of the network on all frames with a label. flagged: of its errors, those that alarm. passed: its accuracy
    on what does not alarm. aurc: the area under `curve`, the share of errors over the share that passes.
    """

    accuracy: Share
    flagged: Share
    passed: Share
    aurc: Estimate
    curve: Curve


@dataclass(frozen=True)
class OfClass:
    """What was seen of the frames that the network takes for a class.

    frames, errors: counts, errors None without labels. flagged: those that alarm. auroc: against the clean frames of
    this class; None with fewer than 20 frames of either kind.
    """

    class_index: int
    name: str
    frames: int
    flagged: Share
    errors: int | None = None
    errors_flagged: int | None = None
    auroc: float | None = None


@dataclass(frozen=True)
class OfDrive:
    """What was seen of the frames of a drive. frames: a count. flagged: those that alarm."""

    name: str
    frames: int
    flagged: Share


@dataclass(frozen=True)
class OfColumn:
    """How well one column of the monitor tells a set from the clean one. auroc: of its deviation alone."""

    name: str
    auroc: float


@dataclass(frozen=True)
class SetResult:
    """What was found for a set.

    frames: that were judged. unread: that could not be read and are in none of the figures. faults: of the frames.
    flagged: ALARM, FAULT or STALE. warned: WARN alone, which is no alarm. auroc, aupr, fpr95, roc: against the clean
    frames; None for these, and where there is no frame. errors: None without labels. by_class: of each class that the
    network saw. by_drive: of each drive, where they are known. by_column: of each column of the monitor; none of the
    clean set. severity, tried, profiled: as of
    `JudgedSet`. evaded: of an attack, the share of all attempts that deceived the network without an alarm.
    """

    name: str
    kind: str
    frames: int
    unread: int
    faults: int
    flagged: Share
    warned: Share
    severity: int | None = None
    tried: int | None = None
    evaded: Share | None = None
    profiled: int = 0
    drives: int | None = None
    auroc: Estimate | None = None
    aupr: Estimate | None = None
    fpr95: Estimate | None = None
    errors: ErrorsSeen | None = None
    by_class: tuple[OfClass, ...] = ()
    by_drive: tuple[OfDrive, ...] = ()
    by_column: tuple[OfColumn, ...] = ()
    roc: Curve | None = None


@dataclass(frozen=True)
class Cost:
    """What a frame costs in batches of `batch` frames, in microseconds: the smallest of several runs.

    check: network, taps and monitor. network: the network with its taps. monitor: the difference. bytes: what the
    profile keeps of the trusted data.
    """

    check: float
    network: float
    monitor: float
    batch: int
    bytes: int


@dataclass(frozen=True)
class Evaluation:
    """How good a monitor is: `clean` frames against each of the `unsafe` sets.

    false_alarm_rate: what the calibration asked for. false_alarms_per_hour: at `rate_fps` frames a second, with the
    interval of the share flagged. cost: None where it was not measured. resamples, level: of the intervals. monitor:
    criteria, logic, threshold and what the calibration promises, in words.
    """

    clean: SetResult
    unsafe: tuple[SetResult, ...]
    rate_fps: float
    false_alarms_per_hour: Estimate
    false_alarm_rate: float
    cost: Cost | None
    resamples: int
    level: float
    monitor: dict[str, Any]

    def __getitem__(self, name: str) -> SetResult:
        """The result of a set by its name. Raises KeyError."""
        for one in (self.clean, *self.unsafe):
            if one.name == name:
                return one
        raise KeyError(f"expected the name of a set, got {name!r}; known are {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the clean set and of all others."""
        return tuple(one.name for one in (self.clean, *self.unsafe))

    @property
    def mean_auroc(self) -> float:
        """Over the unsafe sets; NaN without any."""
        return float(np.mean([one.auroc.value for one in self.unsafe if one.auroc] or [math.nan]))

    def to_dict(self) -> dict[str, Any]:
        """All of it in JSON types; a number that is not finite is None."""
        found: dict[str, Any] = plain(self)
        return found | {"mean_auroc": plain(self.mean_auroc)}


def plain(value: Any) -> Any:
    """A value in strict JSON types: named tuples and data classes as mappings, None for what is not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
