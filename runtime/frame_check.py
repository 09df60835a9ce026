"""What can be said of a frame before the network sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..coverage.kernels import frame_facts
from ..monitor import Status

_EXPONENTS = {"float16": 0x7C00, "float32": 0x7F800000, "float64": 0x7FF0000000000000}


_FINE = Status.OK, ""


class FrameCheck:
    """Judges one frame after the other: form, finiteness, a picture of one value, a frozen camera.

    shape: of one frame, None for sizes left open. dtype: that the network takes. frozen: the number of frames of the
    same bytes in a row that make a frozen picture, None to allow any. One pass over the frame, nothing allocated.
    Raises ValueError unless frozen is None or at least 2.
    """

    def __init__(self, shape: Sequence[int | None], dtype: str, frozen: int | None = None) -> None:
        if frozen is not None and frozen < 2:
            raise ValueError(f"expected frozen as None or a number of frames from 2, got {frozen}")
        self._shape, self._dtype = tuple(shape), np.dtype(dtype)
        word = np.dtype(f"u{self._dtype.itemsize}")
        self._words, self._exponent = word, word.type(_EXPONENTS.get(self._dtype.name, 0))
        self._facts = frame_facts[self._dtype.itemsize]
        self._last = np.zeros(2, np.uint64)
        self._most = float("inf") if frozen is None else frozen

    def reset(self) -> None:
        """Forget the frames before."""
        self._last[:] = 0

    def refusal(self, frame: Any) -> str:
        """Why the network cannot take the frame; empty when it can."""
        if type(frame) is np.ndarray and frame.shape == self._shape and frame.dtype == self._dtype and frame.size:
            return ""
        if not isinstance(frame, np.ndarray):
            return f"expected a numpy array, got {type(frame).__name__}"
        if frame.dtype != self._dtype:
            return f"expected a frame of dtype {self._dtype}, got {frame.dtype}"
        if len(frame.shape) != len(self._shape) or not _fits(frame.shape, self._shape) or not frame.size:
            return f"expected a frame of shape {self._shape}, got {frame.shape}"
        return ""

    def judge(self, frame: np.ndarray) -> tuple[Status, str]:
        """(OK, "") or FAULT or STALE with the reason, for a frame without a `refusal`."""
        words = (frame if frame.flags.c_contiguous else np.ascontiguousarray(frame)).reshape(-1).view(self._words)
        repeats = self._facts(words, self._exponent, self._last)
        if 0 < repeats < self._most:
            return _FINE
        if repeats == -1:
            return Status.FAULT, "the frame holds NaN or Inf"
        if repeats == -2:
            return Status.FAULT, f"the frame is of one value throughout, {frame.flat[0]}"
        return Status.STALE, f"the picture is frozen: the same bytes {repeats} frames in a row"


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return all(wanted is None or got == wanted for got, wanted in zip(shape, expected, strict=True))
