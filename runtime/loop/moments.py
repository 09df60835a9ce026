"""When a frame was taken, as the caller says it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

_LATEST = 9e9  # seconds, as nanoseconds a 64-bit integer
_AHEAD, _BEHIND = 10**9, 10**18  # nanoseconds: the clock that stamps a frame may be this far off, a frame this old

PerStream = float | Mapping[str, float | None] | None
"""Seconds, of every stream or by stream; None for one without."""

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
