"""Judges a frame before the network sees it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...monitor import Status
from .kernels import frame_facts

_EXPONENTS = {"float16": 0x7C00, "float32": 0x7F800000, "float64": 0x7FF0000000000000}
_FINE = Status.OK, "", True


class FrameCheck:
    """Judges one frame after the other: form, finiteness, a picture of one colour, a frozen camera.

    shape: of one frame, None for sizes left open. dtype: that the network takes. frozen: how many frames of the same
    bytes in a row make a frozen picture, None to allow any number. It passes over the frame once and allocates nothing.
    Raises ValueError for a frozen below 2 and for a shape without values.
    """

    def __init__(self, shape: Sequence[int | None], dtype: str, frozen: int | None = None) -> None:
        if frozen is not None and frozen < 2:
            raise ValueError(f"expected frozen as None or a number of frames from 2, got {frozen}")
        if 0 in shape:
            raise ValueError(f"expected frames that hold something, got the shape {tuple(shape)}")
        self._shape, self._dtype = tuple(shape), np.dtype(dtype)
        self._words = np.dtype(f"u{self._dtype.itemsize}")
        self.exponent = np.array([_EXPONENTS.get(self._dtype.name, 0)], self._words)
        self._is_taken = len(self._shape) > 0 and self._dtype != np.float16  # by the kernel, as it is
        self.facts = frame_facts(self._dtype if self._is_taken else self._words, max(1, len(self._shape)))
        self._copy = np.empty(0, self._dtype)
        self._last = np.zeros(2, np.uint64)
        self._most = float("inf") if frozen is None else frozen

    def reset(self) -> None:
        """Forget the frames before."""
        self._last[:] = 0

    def judge(self, frame: Any) -> tuple[Status, str, bool]:
        """(OK, ""), or FAULT or STALE and the reason; and whether the network can take the frame at all."""
        if type(frame) is not np.ndarray:
            frame = as_array(frame)
        if type(frame) is not np.ndarray or frame.shape != self._shape or frame.dtype is not self._dtype:
            refusal = self._refusal(frame)
            if refusal:
                return Status.FAULT, refusal, False
        taken = frame if self._is_taken and frame.flags.c_contiguous else self._as_taken(frame)
        repeats = self.facts(taken, self.exponent, self._last)
        if 0 < repeats < self._most:
            return _FINE
        if repeats == -1:
            return Status.FAULT, "the frame holds NaN or Inf", True
        if repeats == -2:
            return Status.FAULT, f"the frame is of one colour throughout, beginning with {frame.flat[0]}", True
        return Status.STALE, f"the picture is frozen: the same bytes {repeats} frames in a row", True

    def _as_taken(self, frame: np.ndarray) -> np.ndarray:
        """The frame as the kernel takes it; a scattered one is copied, into the same array every time."""
        if not frame.flags.c_contiguous:
            if self._copy.shape != frame.shape:
                self._copy = np.empty(frame.shape, self._dtype)
            np.copyto(self._copy, frame)
            frame = self._copy
        return frame if self._is_taken else np.atleast_1d(frame).view(self._words)

    def _refusal(self, frame: Any) -> str:
        """Why the network cannot take the frame; empty when it can."""
        if not isinstance(frame, np.ndarray):
            return f"expected a numpy array or a torch tensor, got {type(frame).__name__}"
        if frame.dtype != self._dtype:
            return f"expected a frame of dtype {self._dtype}, got {frame.dtype}"
        pairs = zip(frame.shape, self._shape, strict=False)
        fitting = tuple(size if wanted is None else wanted for size, wanted in pairs)
        if len(frame.shape) != len(self._shape) or frame.shape != fitting or not frame.size:
            return f"expected a frame of shape {self._shape}, got {frame.shape}"
        return ""


def as_array(frame: Any) -> Any:
    """A torch tensor as an array: a view of one on the CPU, a copy of any other. All else as it is."""
    torch = sys.modules.get("torch")
    try:
        return frame.detach().cpu().numpy() if torch is not None and isinstance(frame, torch.Tensor) else frame
    except Exception:  # noqa: BLE001 (a dtype that numpy lacks: the frame is refused by its type)
        return frame
