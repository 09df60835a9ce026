"""The pace at which frames are handed on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

from .frame import Frame

LONGEST_WAIT = 10.0
"""Seconds to which a longer gap is cut: a pause of the recording, or a clock that was wrong."""
IDLE = 0.1
"""Seconds without a frame after which None is given, as by a live source."""


def paced(
    frames: Iterable[Frame | None],
    wait: Callable[[float], object],
    *,
    rate: float | None = None,
    realtime: bool = False,
) -> Iterator[Frame | None]:
    """The same frames, none left out: at most `rate` a second or, with `realtime`, as far apart as their times.

    None is given where the next frame is more than `IDLE` away. A gap of more than `LONGEST_WAIT` takes that long. A
    time that goes back is not waited for, and later times count from it. wait: sleeps for so many seconds or less.
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
