"""At which pace frames are handed on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

from .frame import Frame

LONGEST_WAIT = 10.0
"""Seconds that a longer gap is cut to: a pause of the recording, or a clock that was wrong."""
IDLE = 0.1
"""Seconds without a frame after which None comes in its place, as from a live source."""


def paced(
    frames: Iterable[Frame | None],
    wait: Callable[[float], object],
    *,
    rate: float | None = None,
    realtime: bool = False,
) -> Iterator[Frame | None]:
    """The same frames, none left out: at most `rate` a second, or, with `realtime`, as far apart as their times are.

    Where the next is more than `IDLE` away, None comes meanwhile. A gap of more than `LONGEST_WAIT` takes that long,
    and a time that goes back is not waited for; the times behind it count from there. wait: sleeps for so many
    seconds, or returns before.
    """
    iterator = iter(frames)
    due = -math.inf
    last, origin = math.inf, 0.0
    while True:
        if rate is not None:
            wait(max(0.0, due - time.monotonic()))
        try:
            frame = next(iterator)
        except StopIteration:
            return
        if frame is not None:
            now = time.monotonic()
            if rate is not None:
                due = (due if now - due < 1 / rate else now) + 1 / rate
            if realtime:
                if frame.time < last:
                    origin = now - frame.time
                last = frame.time
                origin = min(origin, now + LONGEST_WAIT - frame.time)
                while (left := origin + frame.time - time.monotonic()) > IDLE:
                    wait(IDLE)
                    yield None
                wait(max(0.0, left))
        yield frame
