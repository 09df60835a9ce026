"""What every stream of pictures has in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stream.

    time: seconds by the one clock of the source: for a bag when it was recorded, since 1970; since the start for the
    others. picture: (1 or 3, height, width) uint8, luminance or RGB, or None where it could not be read; `problem` then
    says why. name: what it is called in a report. captured: `time.monotonic()` when a live source gave it.
    """

    time: float
    picture: np.ndarray | None
    name: str
    captured: float | None = None
    problem: str = ""


class Stream(Protocol):
    """Frames in order, read one at a time when they are asked for.

    live: the frames come when they come, and only the newest waits to be taken; where there is none for a tenth of a
    second, None comes in its place.
    """

    @property
    def live(self) -> bool: ...
    def __iter__(self) -> Iterator[Frame | None]: ...
    def close(self) -> None:
        """Let go of the source; an iteration that goes on ends."""
        ...


def require(package: str, what: str) -> Any:
    """An optional package. Raises ImportError naming the extra `watch`. what: what needs it, in the plural."""
    try:
        return import_module(package)
    except ImportError:
        raise ImportError(f"{what} need more packages: pip install 'outrider[watch]'") from None
