"""Notices a network that says the same of every frame: a CUDA graph or a binding that repeats its first one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int64, types, uint32, uint64

from ....coverage.kernels.compiling import VALUES, compiled, read
from ....monitor import FrameJudge

_WORDS = 4096
"""So many words of a tap's neurons are looked at, evenly spread."""


@compiled(VALUES, float32[:, ::1], returns=types.boolean)
def _kept(values, before):
    """Whether all values have the bits of those before; they take their place. Both are of one shape."""
    words, kept, same = values.reshape(values.size).view(uint32), before.reshape(before.size).view(uint32), True
    for i in range(words.shape[0]):
        same &= words[i] == kept[i]
        kept[i] = words[i]
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
        self._deviations = self._scores = np.empty((0, 0), np.float32)
        self._digest = np.zeros(1, np.uint64)
        self.count = 0

    def reset(self) -> None:
        """Forget the frames before."""
        self._deviations, self.count = np.empty((0, 0), np.float32), 0

    def reason(self, judge: FrameJudge, changed: bool) -> str:
        """Why the output of the last frame is stale; "" where it is not. changed: whether the frame is another one."""
        seen = judge.seen
        if self._most is None or seen is None or not changed:
            return ""
        scores = judge.deviations if seen.logits is None else np.ascontiguousarray(seen.logits, np.float32)
        if self._deviations.shape != judge.deviations.shape or self._scores.shape != scores.shape:
            self._deviations, self._scores, self.count = judge.deviations.copy(), scores.copy(), 0
            return ""
        same = _kept(judge.deviations, self._deviations)
        if not (_kept(scores, self._scores) and same):
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


def _words(values: Any) -> np.ndarray:
    """The bits of an array as words of 32 bits; of bytes whose number is no multiple of four, without the last."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.itemsize < 4:
        flat = flat[: flat.size * flat.itemsize // 4 * 4 // flat.itemsize]
    words: np.ndarray = flat.view(np.uint32)
    return words
