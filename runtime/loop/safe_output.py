"""What a guard hands on: the network's own output, or what a fallback makes of it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ...monitor import Verdict
from .fallback import Fallback


class SafeOutput:
    """Remembers the output of the last frame that was OK and applies a fallback, if there is one."""

    def __init__(self, fallback: Fallback | None) -> None:
        if fallback is not None and not callable(fallback):
            raise TypeError(f"expected a fallback that can be called, such as `stop`, got {fallback!r}")
        self.fallback = fallback
        self.last: Any = None

    def apply(self, output: Any, verdict: Verdict) -> tuple[Any, Exception | None]:
        """What the fallback makes of an output; where it raises, the last safe output and the exception."""
        if self.fallback is None:
            return output, None
        safe = None
        try:
            safe = _copied(self.last)
            return self.fallback(output, verdict, safe), None
        except Exception as error:  # noqa: BLE001 (a fallback that fails must not end the loop)
            return safe, error

    def keep(self, output: Any) -> Exception | None:
        """Remember a copy of the output of a frame that is OK; where no copy can be made, why."""
        try:
            self.last = _copied(output, self.last)
        except Exception as error:  # noqa: BLE001 (no memory for a copy: there is no safe output then)
            self.last = None
            return error
        return None


def _copied(output: Any, room: Any = None) -> Any:
    """A copy of an output, in `room` where that is an earlier one of the same form; what cannot be copied, itself."""
    if isinstance(output, tuple):
        rooms = room if isinstance(room, tuple) and len(room) == len(output) else (None,) * len(output)
        return tuple(map(_copied, output, rooms))
    if isinstance(output, np.ndarray):
        if not isinstance(room, np.ndarray) or room.shape != output.shape or room.dtype != output.dtype:
            return output.copy()
        np.copyto(room, output)
        return room
    try:
        return copy.deepcopy(output)
    except Exception:  # noqa: BLE001 (an output of the user's own kind)
        return output
