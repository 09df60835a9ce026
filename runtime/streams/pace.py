"""At which pace frames are handed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from .frame import Frame


def paced(
    frames: Iterable[Frame | None],
    wait: Callable[[float], object],
    *,
    rate: float | None = None,
    realtime: bool = False,
) -> Iterator[Frame | None]:
    """The same frames, none left out: at most `rate` a second, or, with `realtime`, as far apart as their times are.

    wait: sleeps for so many seconds, or returns before.
    """
    iterator = iter(frames)
    due = -float("inf")
    origin: float | None = None
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
                origin = now - frame.time if origin is None else origin
                wait(max(0.0, origin + frame.time - now))
        yield frame
