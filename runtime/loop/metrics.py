"""Counters of the loop."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from .drift import DriftTest
from .kernels import count_frame

_OCTAVES = 27
_LONGEST_STEP_NS = 60 * 10**9
_MARGINS, _MARGIN_STEPS = 64, 16


class _Count:
    """One of the numbers of `Counters`."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __get__(self, counters: Counters, _: type) -> int:
        return int(counters.array[self._place])

    def __set__(self, counters: Counters, value: int) -> None:
        counters.array[self._place] = value


class Counters:
    """Whole numbers, raised by one thread, read by any. array: all of them, int64, in the order of `NAMES`.

    frames: that came in. warnings, alarms, faults, stale: those whose own status was WARN, ALARM, FAULT, STALE,
    before hysteresis, which is what the calibrated rate speaks of. deadline_misses: frames slower than the
    deadline. episodes: times that the loop left OK and WARN, for ALARM, FAULT or STALE. silences: times that no
    frame came. dropped_events: lost by the event log.
    """

    NAMES = (
        "frames", "warnings", "alarms", "faults", "stale", "deadline_misses", "episodes", "silences",
        "dropped_events",
    )  # fmt: skip
    frames, warnings, alarms, faults, stale, deadline_misses, episodes, silences, dropped_events = map(_Count, range(9))

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
    """Counts of microseconds: each from 0 to 7, then four buckets to an octave, up to 134 s and beyond.

    counts: (buckets,) int64. upper: (buckets,) the first whole microsecond above each, the last infinite.
    spent: (2,) float64, the sum and the largest in microseconds.
    """

    def __init__(self) -> None:
        octaves = [step << shift for shift in range(_OCTAVES - 2) for step in (5, 6, 7, 8)]
        self.upper: tuple[float, ...] = (1, 2, 3, 4, *octaves, float("inf"))
        self.counts = np.zeros(len(self.upper), np.int64)
        self.spent = np.zeros(2)

    @property
    def sum(self) -> float:
        return float(self.spent[0])

    @property
    def largest(self) -> float:
        return float(self.spent[1])

    def buckets(self) -> list[tuple[float, int]]:
        """(first microsecond above, count) of the buckets that hold any."""
        return [(upper, count) for upper, count in zip(self.upper, self.counts.tolist(), strict=True) if count]


class Margins:
    """Counts of score / threshold in sixteenths from 0 to 4, and beyond: 1 is at the threshold."""

    def __init__(self) -> None:
        self.counts = np.zeros(_MARGINS + 1, np.int64)

    def buckets(self) -> list[tuple[float, int]]:
        """(upper end, count) of the buckets that hold any."""
        return [
            ((place + 1) / _MARGIN_STEPS if place < _MARGINS else float("inf"), count)
            for place, count in enumerate(self.counts.tolist())
            if count
        ]


def quantile(buckets: list[tuple[float, int]], share: float) -> float | None:
    """The upper end of the bucket that holds a quantile of ascending buckets; None without any count."""
    needed = share * sum(count for _, count in buckets)
    for upper, count in buckets:
        needed -= count
        if needed <= 0 < count:
            return upper
    return None


class Metrics:
    """Everything that is counted of one loop, by its one thread; others read it as it stands.

    false_alarm_rate: the calibrated one, per frame. deadline_us: the latency allowed. drift: the test of the
    calibration, fed by the loop. status: that of the loop, as it was last told. stamp_ns: when the last frame was
    taken, by the clock of the recording that it is from, None live. elapsed_ns: of recordings, see `stamped`.
    """

    def __init__(
        self,
        *,
        false_alarm_rate: float | None = None,
        deadline_us: float | None = None,
        drift: DriftTest | None = None,
    ) -> None:
        self.false_alarm_rate, self.deadline_us, self.drift = false_alarm_rate, deadline_us, drift
        self.counters = Counters()
        self.latency = Histogram()
        self.margins = Margins()
        self.status = 0
        self.stamp_ns: int | None = None
        self.elapsed_ns: int | None = None
        self.started_ns = time.monotonic_ns()
        allowed = float("inf") if deadline_us is None else deadline_us
        arrays = self.counters.array, self.margins.counts, self.latency.counts, self.latency.spent
        self._count = partial(count_frame, *arrays, allowed)

    def record(self, status: int, score: float, threshold: float, latency_us: float) -> None:
        """Count one frame: its own status, before hysteresis, its score and threshold, and its latency."""
        self._count(int(status), score, threshold, latency_us)

    def stamped(self, stamp_ns: int | None) -> None:
        """Tell when the next frame was taken, by the clock of the recording that it is from; None for a live one.

        `elapsed_ns` sums the steps forward, each of a minute at most: a step back is another recording, a longer one a
        pause. It is None as soon as any frame was live.
        """
        last, self.stamp_ns = self.stamp_ns, stamp_ns
        if stamp_ns is None:
            self.elapsed_ns = None
        elif last is None:
            self.elapsed_ns = None if self.counters.frames else 0
        elif self.elapsed_ns is not None:
            self.elapsed_ns += min(max(stamp_ns - last, 0), _LONGEST_STEP_NS)

    @property
    def availability(self) -> float:
        """The share of frames with a verdict that is neither FAULT nor STALE; NaN before the first frame."""
        counters = self.counters
        return counters.judged / counters.frames if counters.frames else float("nan")

    @property
    def hours(self) -> float:
        """Since the metrics were made, by the monotonic clock."""
        return (time.monotonic_ns() - self.started_ns) / 3.6e12

    @property
    def alarms_per_hour(self) -> float:
        """Frames that alarmed per hour so far."""
        return self.counters.alarms / max(self.hours, 1e-12)

    @property
    def calibrated_alarms_per_hour(self) -> float | None:
        """What the calibrated rate comes to at the frames judged per hour; None without that rate."""
        if self.false_alarm_rate is None:
            return None
        return self.false_alarm_rate * self.counters.judged / max(self.hours, 1e-12)

    def __repr__(self) -> str:
        return f"Metrics({self.counters!r}, availability={self.availability:.4g}, drift={self.drift!r})"

    def snapshot(self) -> dict[str, Any]:
        """All of it in JSON types: the values of a summary line.

        counters; latency_us and margin: pairs (upper end, count) of the buckets in use; latency_sum_us,
        latency_largest_us, deadline_us; drift: `DriftTest.snapshot`, or None; elapsed_ns, see `stamped`.
        """
        return {
            "counters": self.counters.snapshot(),
            "latency_us": self.latency.buckets(),
            "latency_sum_us": self.latency.sum,
            "latency_largest_us": self.latency.largest,
            "margin": self.margins.buckets(),
            "deadline_us": self.deadline_us,
            "drift": None if self.drift is None else self.drift.snapshot(),
            "elapsed_ns": self.elapsed_ns,
        }
