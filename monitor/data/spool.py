"""A bounded random sample of the trusted frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_FRAMES = 256
_BYTES = 64 * 2**20


class FrameSpool:
    """A bounded random sample of the trusted frames, kept until the profile is finished (reservoir sampling)."""

    def __init__(self, frames: np.ndarray | None = None, seen: int = 0):
        self.frames = frames
        self.seen = seen
        self._capacity = 0 if frames is None else self._room(frames)

    def add(self, frames: np.ndarray) -> None:
        """Offer frames (n, ...); each of all that were ever offered is held with the same chance."""
        if not len(frames):
            return
        random = np.random.default_rng(self.seen)
        if self.frames is None:
            self.frames = frames[:0].copy()
            self._capacity = self._room(frames)
        free = self._capacity - len(self.frames)
        if free > 0:
            self.frames = np.concatenate([self.frames, frames[:free]])
        for i in range(max(free, 0), len(frames)):
            place = random.integers(self.seen + i + 1)
            if place < self._capacity:
                self.frames[place] = frames[i]
        self.seen += len(frames)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """The frames held, at most `size` at a time."""
        frames = np.empty(0) if self.frames is None else self.frames
        for start in range(0, len(frames), size):
            yield frames[start : start + size]

    @staticmethod
    def _room(frames: np.ndarray) -> int:
        return min(_FRAMES, max(1, _BYTES // max(1, frames[:1].nbytes or frames.dtype.itemsize)))
