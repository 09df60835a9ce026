"""When a frame was taken, as the caller says it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

_LATEST = 9e9  # seconds, as nanoseconds a 64-bit integer
_AHEAD, _BEHIND = 10**9, 10**18  # nanoseconds: the clock that stamps a frame may be this far off, a frame this old

PerStream = float | Mapping[str, float | None] | None
"""Seconds, of every stream or by stream; None for one without."""

_GAP, _INTERVALS = 10**9, 10

NO_TIME = "expected `stamp` in seconds, got no time"


def of_stream(value: Any, stream: Any) -> Any:
    """What is told of one stream: its own in a mapping by streams, or what is told of all."""
    return value.get(stream) if isinstance(value, Mapping) else value


def each(value: PerStream, make: Callable[[float], Any]) -> Any:
    """`make` of what is told of all, or of each stream; None stays None."""
    if isinstance(value, Mapping):
        return {stream: each(one, make) for stream, one in value.items()}
    return None if value is None else make(value)


def deadline_ns(seconds: float) -> int:
    """A deadline in nanoseconds. Raises ValueError for one that nothing can be late for or meet."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"expected a deadline above 0 seconds, got {seconds}")
    return round(seconds * 1e9)


def times(captured: Any, stamp: Any, now: int) -> tuple[int, int | None, str]:
    """When a frame was taken, by the monotonic clock and by that of its recording, and what is wrong with either."""
    began, refusal = (now, "") if captured is None else moment(captured, now)
    if stamp is None:
        return began, None, refusal
    stamped = stamp_ns(stamp)
    return began, stamped, NO_TIME if stamped is None else refusal


def moment(captured: Any, now: int) -> tuple[int, str]:
    """When a frame was taken, in nanoseconds; or `now` and what is wrong with its time."""
    try:
        taken = round(captured * 1e9)
    except Exception:  # noqa: BLE001 (NaN, infinity, or no number at all)
        return now, "expected `captured` in seconds, got no number"
    if not -_BEHIND < taken - now <= _AHEAD:
        return now, f"expected `captured` by time.monotonic(), got a time {(taken - now) / 1e9:.3g} s from now"
    return min(taken, now), ""


def stamp_ns(stamp: Any) -> int | None:
    """Nanoseconds of a time in seconds; None for anything else."""
    try:
        return round(stamp * 1e9) if -_LATEST < stamp < _LATEST else None
    except Exception:  # noqa: BLE001 (no number at all)
        return None


class Sight:
    """How much of its time a loop saw frames. All times are in nanoseconds.

    watched: from the first frame to the last, pauses left out. blind: the gaps in it. patience: seconds without a frame
    that are no gap; None where none are named, and then a gap lasts more than a second and more than ten intervals.
    """

    def __init__(self, patience: float | None = None) -> None:
        self.watched = self.blind = 0
        self._named = patience is not None
        self._patience = _GAP if patience is None else round(patience * 1e9)
        self._steps = 0
        self._last: int | None = None

    def begin(self, now: int) -> None:
        """Expect frames from now on."""
        if self._last is None:
            self._last = now

    def came(self, at: int) -> int:
        """Take in when a frame was taken; how long the gap was that it ends, mostly 0."""
        last = self._last
        if last is None or at <= last:
            self._last = at if last is None else last
            return 0
        self._last = at
        return self.stepped(at - last)

    def stepped(self, step: int) -> int:
        """Take in how long after the last frame another was taken; the same again where that is a gap, else 0."""
        gap = step if step > self._patience and self._is_gap(step) else 0
        self._steps += not gap
        self.watched += step
        self.blind += gap
        return gap

    def rest(self, now: int) -> None:
        """Expect none for a while; the time since the last one may have been a gap."""
        gap = self.open(now)
        self.watched, self.blind, self._last = self.watched + gap, self.blind + gap, None

    def forget(self) -> None:
        """The next frame is the first of another drive."""
        self._last = None

    def open(self, now: int) -> int:
        """How long a gap lasts that no frame has ended yet, 0 where there is none."""
        last = self._last
        since = 0 if last is None else now - last
        return since if since > self._patience and self._is_gap(since) else 0

    def _is_gap(self, step: int) -> bool:
        return self._named or (self._steps > 0 and step * self._steps > _INTERVALS * (self.watched - self.blind))
