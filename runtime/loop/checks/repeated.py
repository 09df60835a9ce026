"""Notices a network that says the same of every frame: a CUDA graph or a binding that repeats its first one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, types, uint32, uint64

from ....coverage.kernels.compiling import compiled, read
from ....monitor import FrameJudge

_WORDS = 4096
"""So many words of a tap's neurons are looked at, evenly spread."""


@compiled(read(uint32, 1), uint32[::1], returns=types.boolean)
def _kept(words, before):
    """Whether all words are those of before; they take their place."""
    same = True
    for i in range(words.shape[0]):
        same &= words[i] == before[i]
        before[i] = words[i]
    return same


@compiled(read(uint32, 1), int64, uint64, returns=uint64)
def _digest(words, step, start):
    """A digest of every so many of the words; where a word stands counts."""
    found = start
    for i in range(0, words.shape[0], step):
        found = (found ^ uint64(words[i])) * uint64(0x9E3779B97F4A7C15)
        found ^= found >> uint64(29)
    return found


class RepeatedOutput:
    """Counts frames in a row that differ from the one before and yet cause the same bits everywhere in the network.

    most: at how many of them the output is stale; None for never. A frame that is the same as the one before says
    nothing: it is neither counted nor begins anew. Deviations and class scores are compared first, and mostly differ.
    Where they are the same, as those of a network with one class and no alarm may well be, the neurons of every tap
    decide, `_WORDS` of each: other frames make other numbers there. So a frame has to change where the network looks,
    and by more than the step of a quantised one. It allocates nothing once it knows the network.
    Raises ValueError for a number below 2.
    """

    def __init__(self, most: int | None) -> None:
        if most is not None and most < 2:
            raise ValueError(f"expected stuck as None or a number of frames from 2, got {most}")
        self._most = most
        self._before: list[np.ndarray] = []
        self._digest = np.zeros(1, np.uint64)
        self.count = 0

    def reset(self) -> None:
        """Forget the frames before."""
        self._before, self.count = [], 0

    def reason(self, judge: FrameJudge, changed: bool) -> str:
        """Why the output of the last frame is stale; "" where it is not. changed: whether the frame is another one."""
        seen = judge.seen
        if self._most is None or seen is None or not changed:
            return ""
        whole = [judge.deviations] if seen.logits is None else [judge.deviations, seen.logits]
        if len(self._before) != len(whole) or any(len(b) != _size(w) for b, w in zip(self._before, whole, strict=True)):
            self._before = [np.empty(_size(one), np.uint32) for one in whole]
            for one, before in zip(whole, self._before, strict=True):
                _kept(_words(one), before)
            self.count = 0
            return ""
        same = True
        for one, before in zip(whole, self._before, strict=True):
            same &= _kept(_words(one), before)
        if not same:
            self.count = 0
            return ""
        digest = uint64(0)
        for values in seen.activations:
            words = _words(values)
            digest = _digest(words, max(1, len(words) // _WORDS), np.uint64(digest))
        self.count = self.count + 1 if self.count and digest == self._digest[0] else 1
        self._digest[0] = digest
        if self.count < self._most:
            return ""
        return (
            f"the network repeats itself: the same bits of scores and neurons for {self.count} frames in a row that"
            " differ; look for a graph or a binding that reads an old input"
        )


def _size(values: np.ndarray) -> int:
    return len(_words(values))


def _words(values: Any) -> np.ndarray:
    """The bits of an array as words of 32 bits; of bytes whose number is no multiple of four, without the last."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.itemsize < 4:
        flat = flat[: flat.size * flat.itemsize // 4 * 4 // flat.itemsize]
    words: np.ndarray = flat.view(np.uint32)
    return words
