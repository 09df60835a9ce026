"""Counters and histograms of the loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ...monitor.kinds import KINDS
from .drift import DriftTest
from .kernels import count_frame
from .moments import Sight

_LONGEST_STEP_NS = 60 * 10**9
_PLACES = {kind: place for place, kind in enumerate(KINDS)}


class _Count:
    """A counter, by its index in `Counters.array`."""

    def __init__(self, index: int) -> None:
        self._index = index

    def __get__(self, counters: Counters, _: type) -> int:
        return int(counters.array[self._index])

    def __set__(self, counters: Counters, value: int) -> None:
        counters.array[self._index] = value


class Counters:
    """Whole numbers. One thread raises them, any may read. array: all of them, int64, in the order of `NAMES`.

    frames: all that came in. warnings, alarms, faults, stale: frames whose own status was WARN, ALARM, FAULT, STALE.
    That is the status before hysteresis, of which the calibrated rate speaks. deadline_misses: frames slower than the
    deadline. episodes: how often the loop went from OK or WARN to ALARM, FAULT or STALE. silences: how often no frame
    came. dropped_events: events that the log lost. log_failures: frames at which the log did not take an event or, with
    `log_failure="warn"`, could not write. frames_dropped: pictures of a live source that a newer one replaced
    before they were judged, as far as is known. reconnects: how often a live source was there again.
    """

    NAMES = (
        "frames", "warnings", "alarms", "faults", "stale", "deadline_misses", "episodes", "silences",
        "dropped_events", "log_failures", "frames_dropped", "reconnects",
    )  # fmt: skip
    frames, warnings, alarms, faults, stale, deadline_misses, episodes, silences = map(_Count, range(8))
    dropped_events, log_failures, frames_dropped, reconnects = map(_Count, range(8, 12))

    def __init__(self) -> None:
        self.array = np.zeros(len(self.NAMES), np.int64)

    @property
    def judged(self) -> int:
        """Frames with a verdict on their content: neither FAULT nor STALE."""
        return max(0, self.frames - self.faults - self.stale)

    def snapshot(self) -> dict[str, int]:
        """All of them by name."""
        return dict(zip(self.NAMES, self.array.tolist(), strict=True))

    def __repr__(self) -> str:
        return f"Counters({', '.join(f'{name}={count}' for name, count in self.snapshot().items())})"


class Histogram:
    """Counts of numbers from 0 on. upper: the upper end of each bucket; one more, without an end, comes last.

    counts: (buckets,) int64. spent: (2,) float64, the sum and the largest number.
    """

    def __init__(self, upper: Iterable[float]) -> None:
        self.upper = *upper, float("inf")
        self.counts = np.zeros(len(self.upper), np.int64)
        self.spent = np.zeros(2)

    @property
    def sum(self) -> float:
        return float(self.spent[0])

    @property
    def largest(self) -> float:
        return float(self.spent[1])

    def buckets(self) -> list[tuple[float, int]]:
        """(upper end, count) of the buckets that hold any."""
        return [(upper, count) for upper, count in zip(self.upper, self.counts.tolist(), strict=True) if count]


LATENCIES = 1, 2, 3, 4, *(step << shift for shift in range(25) for step in (5, 6, 7, 8))
"""The first whole microsecond above each bucket: each from 0 to 7, then four to an octave, up to 134 s."""
MARGINS = tuple(step / 16 for step in range(1, 65))
"""Score / threshold in sixteenths up to 4; 1 is at the threshold."""


def quantile(buckets: list[tuple[float, int]], share: float) -> float | None:
    """The upper end of the bucket that holds a quantile; None where all are empty. buckets: ascending."""
    needed = share * sum(count for _, count in buckets)
    for upper, count in buckets:
        needed -= count
        if needed <= 0 < count:
            return upper
    return None


class Metrics:
    """What is counted of one loop. The thread of the loop counts, any thread may read.

    false_alarm_rate: the calibrated one, per frame. deadline_us: the latency allowed. drift: the test of the
    calibration, fed by the loop. status: the last one of the loop. stamp_ns: when the last frame was taken, by the
    clock of its recording; None for a live one. elapsed_ns: how much was recorded so far, see `stamped`. streams: the
    metrics of the other streams of the same guard, by name. sight: how much of the time frames came; patience: seconds
    without one that are allowed. scores: (3,) float64, score and threshold of the last frame, NaN before the first, and
    the sum of score / threshold of those that were judged. kinds: (5,) int64, the frames of each kind of alarm before
    `alarm` and `clear`, in the order of `monitor.kinds.KINDS`.
    """

    def __init__(
        self,
        *,
        false_alarm_rate: float | None = None,
        deadline_us: float | None = None,
        drift: DriftTest | None = None,
        patience: float | None = None,
    ) -> None:
        self.false_alarm_rate, self.deadline_us, self.drift = false_alarm_rate, deadline_us, drift
        self.counters = Counters()
        self.latency, self.margins = Histogram(LATENCIES), Histogram(MARGINS)
        self.status = 0
        self.stamp_ns: int | None = None
        self.elapsed_ns: int | None = None
        self.streams: Mapping[str, Metrics] = {}
        self.sight = Sight(patience)
        self.kinds = np.zeros(len(KINDS), np.int64)
        self.scores = np.array([np.nan, np.nan, 0.0])
        self.started_ns = time.monotonic_ns()
        allowed = float("inf") if deadline_us is None else deadline_us
        arrays = self.counters.array, self.margins.counts, self.latency.counts, self.latency.spent, self.scores
        self.count: Callable[[int, float, float, float], int] = partial(count_frame, *arrays, allowed)
        """`record`, compiled: for whole numbers and floats alone."""

    def record(self, status: int, score: float, threshold: float, latency_us: float) -> None:
        """Count one frame: its own status, before hysteresis, its score and threshold, and its latency."""
        self.count(int(status), score, threshold, latency_us)

    def record_kind(self, kind: str) -> None:
        """Count the kind of a frame that is not OK."""
        self.kinds[_PLACES[kind]] += 1

    @property
    def by_kind(self) -> dict[str, int]:
        """The frames of each kind of alarm; empty where none was named."""
        return dict(zip(KINDS, self.kinds.tolist(), strict=True)) if self.kinds.any() else {}

    def stamped(self, stamp_ns: int | None) -> int:
        """Take in when the next frame was taken, by the clock of its recording; None for a live one.

        Returns how long the gap was that it ends, as `Sight.stepped` does.

        `elapsed_ns` sums the steps forward from frame to frame. A step back means another recording and adds nothing.
        A step of more than a minute is a pause and adds one minute. A single live frame makes `elapsed_ns` None.
        """
        last, self.stamp_ns = self.stamp_ns, stamp_ns
        if stamp_ns is not None:
            self.sight.forget()  # the clock by which a watch began is none of the recording's
        if stamp_ns is None:
            self.elapsed_ns = None
        elif last is None:
            self.elapsed_ns = None if self.counters.frames else 0
        elif self.elapsed_ns is not None:
            step = min(max(stamp_ns - last, 0), _LONGEST_STEP_NS)
            self.elapsed_ns += step
            return self.sight.stepped(step)
        return 0

    @property
    def seconds_watched(self) -> float:
        """Seconds from the first frame to the last, and to now where none came since; pauses are left out."""
        return (self.sight.watched + self._open_ns) / 1e9

    @property
    def seconds_blind(self) -> float:
        """Those of them in which no frame came, see `Sight`."""
        return (self.sight.blind + self._open_ns) / 1e9

    @property
    def _open_ns(self) -> int:
        return self.sight.open(time.monotonic_ns()) if self.elapsed_ns is None else 0

    @property
    def availability(self) -> float:
        """The share of the time with a verdict that is neither FAULT nor STALE; NaN before the first frame.

        It is the share of frames with such a verdict, times the share of the time in which frames came.
        """
        counters, watched = self.counters, self.seconds_watched
        seen = 1 - self.seconds_blind / watched if watched else 1.0
        return counters.judged / counters.frames * seen if counters.frames else float("nan")

    @property
    def hours(self) -> float:
        """Hours since the metrics were made, by the monotonic clock."""
        return (time.monotonic_ns() - self.started_ns) / 3.6e12

    @property
    def alarms_per_hour(self) -> float:
        """Frames that alarmed per hour so far."""
        return self.counters.alarms / max(self.hours, 1e-12)

    @property
    def calibrated_alarms_per_hour(self) -> float | None:
        """The false alarms to expect per hour: the calibrated rate times the frames judged per hour, or None."""
        if self.false_alarm_rate is None:
            return None
        return self.false_alarm_rate * self.counters.judged / max(self.hours, 1e-12)

    def figures(self) -> dict[str, float]:
        """What an outlet tells beside the counters; what is not known is left out, or NaN."""
        figures = {"availability_ratio": self.availability, "alarms_per_hour": self.alarms_per_hour}
        figures["blind_seconds"] = self.seconds_blind
        if (calibrated := self.calibrated_alarms_per_hour) is not None:
            figures["calibrated_alarms_per_hour"] = calibrated
        if self.drift is not None:
            figures |= {"drift_evidence": self.drift.evidence, "calibration_holds": not self.drift.rejected}
        return figures

    def __repr__(self) -> str:
        return f"Metrics({self.counters!r}, availability={self.availability:.4g}, drift={self.drift!r})"

    def snapshot(self) -> dict[str, Any]:
        """All of it in JSON types: the values of a summary line.

        counters; latency_us and margin: pairs (upper end, count) of the buckets in use; latency_sum_us,
        latency_largest_us, deadline_us; drift: `DriftTest.snapshot`, or None; elapsed_ns, see `stamped`; watched_ns and
        blind_ns, see `Sight`. Where alarms have kinds also these, frames of each. With `streams` also these, a snapshot
        of each.
        """
        own = {
            "counters": self.counters.snapshot(),
            "latency_us": self.latency.buckets(),
            "latency_sum_us": self.latency.sum,
            "latency_largest_us": self.latency.largest,
            "margin": self.margins.buckets(),
            "deadline_us": self.deadline_us,
            "drift": None if self.drift is None else self.drift.snapshot(),
            "elapsed_ns": self.elapsed_ns,
            "watched_ns": round(self.seconds_watched * 1e9),
            "blind_ns": round(self.seconds_blind * 1e9),
            **({"kinds": self.by_kind} if self.by_kind else {}),
        }
        return own | {"streams": {name: one.snapshot() for name, one in self.streams.items()}} if self.streams else own
