"""What every stream of pictures has in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stream.

    time: seconds by the clock of the source: since 1970 for a bag, since the start for the others. picture: (1 or 3,
    height, width) uint8, uint16, int32 or float32, luminance or RGB; None where it could not be read or believed, and
    `problem` says why. name: in a report.
    captured: `time.monotonic()` when a live source gave it. stamp_ns: the source's own stamp of it where that is of the
    clock on the wall, in nanoseconds since 1970.
    """

    time: float
    picture: np.ndarray | None
    name: str
    captured: float | None = None
    problem: str = ""
    stamp_ns: int | None = None


class Stream(Protocol):
    """Frames in order, read one at a time when they are asked for.

    live: the source sets the pace and keeps the newest frame only. It gives None after a tenth of a second without one.
    dropped: how many frames were replaced by a newer one. reconnects: how often the source was there again.
    """

    @property
    def live(self) -> bool: ...
    @property
    def dropped(self) -> int: ...
    @property
    def reconnects(self) -> int: ...
    def __iter__(self) -> Iterator[Frame | None]: ...
    def close(self) -> None:
        """Let go of the source, which ends an iteration."""
