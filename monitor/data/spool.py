"""A bounded random sample of the trusted frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...networks.inputs import each, together

_FRAMES = 256
_BYTES = 64 * 2**20


class FrameSpool:
    """A bounded random sample of the trusted frames, kept until the profile is finished (reservoir sampling).

    frames: what is held: an array, of a network with several inputs a tuple of arrays whose rows belong together.
    """

    def __init__(self, frames: Any = None, seen: int = 0):
        self._parts = _parts(frames)
        self.seen = seen
        self._capacity = self._room()

    @property
    def frames(self) -> Any:
        """What is held, None before the first frame."""
        return together(self._parts) if self._parts else None

    def add(self, frames: Any) -> None:
        """Offer frames (n, ...); each of all that were ever offered is held with the same chance."""
        offered = _parts(frames)
        n = len(offered[0])
        if not n:
            return
        random = np.random.default_rng(self.seen)
        if not self._parts:
            self._parts = [part[:0].copy() for part in offered]
            self._capacity = self._room(offered)
        free = self._capacity - len(self._parts[0])
        if free > 0:
            self._parts = [np.concatenate([held, new[:free]]) for held, new in zip(self._parts, offered, strict=True)]
        for i in range(max(free, 0), n):
            place = random.integers(self.seen + i + 1)
            if place < self._capacity:
                for held, new in zip(self._parts, offered, strict=True):
                    held[place] = new[i]
        self.seen += n

    def batches(self, size: int) -> Iterator[Any]:
        """The frames held, at most `size` at a time."""
        for start in range(0, len(self._parts[0]) if self._parts else 0, size):
            yield each(self.frames, lambda held, start=start: held[start : start + size])  # type: ignore[misc]

    def _room(self, frames: list[np.ndarray] | None = None) -> int:
        parts = self._parts if frames is None else frames
        if not parts:
            return 0
        one = sum(part[:1].nbytes or part.dtype.itemsize for part in parts)
        return min(_FRAMES, max(1, _BYTES // max(1, one)))


def _parts(frames: Any) -> list[np.ndarray]:
    if frames is None:
        return []
    return list(frames) if isinstance(frames, tuple) else [frames]
