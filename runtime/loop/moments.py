"""When a frame was taken, as the caller says it."""

from __future__ import annotations

from typing import Any

_LATEST = 9e9  # seconds, as nanoseconds a 64-bit integer
_AHEAD, _BEHIND = 10**9, 10**18  # nanoseconds: the clock that stamps a frame may be this far off, a frame this old


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
