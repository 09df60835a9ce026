"""A bounded sample of the trusted frames: those with the smallest digests, whichever order they come in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...networks.inputs import each, together
from .digests import digests_of

_FRAMES = 256
_BYTES = 64 * 2**20
_SPARE = 4
"""How many times as many frames as are kept may be offered, where it is known how many there are in all."""


class FrameSpool:
    """A bounded sample of the trusted frames, kept until the profile is finished.

    Of all frames that were offered it holds those with the smallest digests (`digests_of`), in their order, equal ones
    once. So each has the same chance, the order and the way in which frames were split do not matter, and spools merge.

    frames: what is held: an array, of a network with several inputs a tuple of arrays whose rows belong together.
    seen: how many frames were offered. total: how many frames there are in all, where that is known: then frames whose
    digest is too large to be among the smallest of all are not held in any part either. Where fewer than a quarter of
    them are trusted, fewer are held at last.
    """

    def __init__(self, frames: Any = None, seen: int = 0, total: int | None = None):
        self._parts = _parts(frames)
        self._digests = np.empty(0, np.uint64)
        if self._parts:  # those of an older file come as they were drawn
            self._digests, rows = np.unique(digests_of(together(self._parts)), return_index=True)
            if not np.array_equal(rows, np.arange(len(self._parts[0]))):
                self._parts = [part[rows] for part in self._parts]
        self._highest = _highest(total)
        self.seen = seen

    def of_all(self, total: int) -> None:
        """Know from now on how many frames there are in all."""
        self._highest = _highest(total)

    @property
    def frames(self) -> Any:
        """What is held, None before the first frame."""
        return together(self._parts) if self._parts else None

    def add(self, frames: Any, digests: np.ndarray | None = None) -> None:
        """Offer frames (n, ...). digests: theirs, (n,) uint64, where the caller has them."""
        offered = _parts(frames)
        if not len(offered[0]):
            return
        self.seen += len(offered[0])
        if digests is None:
            digests = digests_of(together(offered))
        if not self._parts:
            self._parts = [part[:0].copy() for part in offered]
        capacity = self._room(offered)
        new = digests <= self._highest
        if len(self._digests) >= capacity:
            new &= digests < self._digests[capacity - 1]
        if new.any():
            both = np.concatenate([self._digests, digests[new]])
            kept, rows = np.unique(both, return_index=True)
            self._digests, rows = kept[:capacity], rows[:capacity]
            self._parts = [
                np.concatenate([held, part[new]])[rows] for held, part in zip(self._parts, offered, strict=True)
            ]

    def merge(self, other: FrameSpool) -> None:
        """Hold what would be held of the frames of both."""
        seen = self.seen + other.seen
        if other._parts:
            self.add(other.frames, other._digests)
        self.seen = seen

    def batches(self, size: int) -> Iterator[Any]:
        """The frames held, at most `size` at a time."""
        for start in range(0, len(self._parts[0]) if self._parts else 0, size):
            yield each(self.frames, lambda held, start=start: held[start : start + size])  # type: ignore[misc]

    @staticmethod
    def _room(frames: list[np.ndarray]) -> int:
        one = sum(part[:1].nbytes or part.dtype.itemsize for part in frames)
        return min(_FRAMES, max(1, _BYTES // max(1, one)))


def _highest(total: int | None) -> np.uint64:
    """The largest digest that is held, where there are so many frames in all."""
    largest = 2**64 - 1
    return np.uint64(largest if total is None else min(largest, largest * _SPARE * _FRAMES // max(total, 1)))


def _parts(frames: Any) -> list[np.ndarray]:
    if frames is None:
        return []
    return list(frames) if isinstance(frames, tuple) else [frames]
