"""Judges a frame before the network sees it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...monitor import Status
from ...networks.inputs import Input, each, parts_of
from .kernels import frame_facts

_EXPONENTS = {"float16": 0x7C00, "float32": 0x7F800000, "float64": 0x7FF0000000000000}
_FINE = Status.OK, "", True


class FrameCheck:
    """Judges one frame after the other: form, finiteness, a picture of one colour, a frozen camera.

    shape: of one frame, None for sizes left open. dtype: that the network takes. frozen: how many frames of the same
    bytes in a row make a frozen picture, None to allow any number. name: of the input, where there are several.
    key: what a mapping may call the one input. may_stand: whether a frame may be of one value throughout and stay the
    same, as a state vector may. It passes over the frame once and allocates nothing.
    Raises ValueError for a frozen below 2 and for a shape without values.
    """

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: str,
        frozen: int | None = None,
        *,
        name: str = "",
        key: str = "",
        may_stand: bool = False,
    ) -> None:
        if frozen is not None and frozen < 2:
            raise ValueError(f"expected frozen as None or a number of frames from 2, got {frozen}")
        if 0 in shape:
            raise ValueError(f"expected frames that hold something, got the shape {tuple(shape)}")
        self._shape, self._dtype = tuple(shape), np.dtype(dtype)
        self._words = np.dtype(f"u{self._dtype.itemsize}")
        self.exponent = np.array([_EXPONENTS.get(self._dtype.name, 0)], self._words)
        plain = self._dtype.kind in "iuf" and self._dtype != np.float16
        self._is_taken = len(self._shape) > 0 and plain  # by the kernel, as it is
        self.facts = frame_facts(self._dtype if self._is_taken else self._words, max(1, len(self._shape)))
        self._copy = np.empty(0, self._dtype)
        self._last = np.zeros(2, np.uint64)
        self._most = float("inf") if frozen is None or may_stand else frozen
        self._may_stand, self._key = may_stand, key
        self._of = f"input {name}: " if name else ""

    def reset(self) -> None:
        """Forget the frames before."""
        self._last[:] = 0

    @property
    def changed(self) -> bool:
        """Whether the last frame is another one than the frame before it."""
        return bool(self._last[1] == 1)

    def taken(self, frame: Any) -> Any:
        """The frame as an array where it is a torch tensor, on any device, or a mapping by `key`; all else as it is."""
        try:
            named = isinstance(frame, Mapping) and list(frame) == [self._key]
            return as_array(frame[self._key] if named else frame)
        except Exception:  # noqa: BLE001 (a mapping of the caller's own: the frame is refused by its type)
            return frame

    def judge(self, frame: Any) -> tuple[Status, str, bool]:
        """(OK, ""), or FAULT or STALE and the reason; and whether the network can take the frame at all."""
        if type(frame) is not np.ndarray:
            frame = as_array(frame)
        if type(frame) is not np.ndarray or frame.shape != self._shape or frame.dtype is not self._dtype:
            refusal = self._refusal(frame)
            if refusal:
                return Status.FAULT, self._of + refusal, False
        taken = frame if self._is_taken and frame.flags.c_contiguous else self._as_taken(frame)
        repeats = self.facts(taken, self.exponent, self._last)
        if 0 < repeats < self._most:
            return _FINE
        if repeats == -1:
            return Status.FAULT, f"{self._of}the frame holds NaN or Inf", True
        if repeats == -2:
            if self._may_stand:
                return _FINE
            return (
                Status.FAULT,
                f"{self._of}the frame is of one colour throughout, beginning with {frame.flat[0]}",
                True,
            )
        return Status.STALE, f"{self._of}the picture is frozen: the same bytes {repeats} frames in a row", True

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


class InputsCheck:
    """Judges frames of several inputs, a `FrameCheck` of each.

    Form and finiteness are asked of every input. A picture or map, an input with two axes or more that are longer than
    1, must also have two colours and change; a state vector or a mask of bools may stand still. frozen: for any one of
    the pictures.
    The reason names the inputs. Raises ValueError where `frozen` finds no picture, and what `FrameCheck` raises.
    """

    def __init__(self, inputs: Sequence[Input], frozen: int | None = None) -> None:
        self._inputs = tuple(inputs)
        pictures = {one.name for one in inputs if one.dtype != "bool" and sum(size != 1 for size in one.shape) >= 2}
        if frozen is not None and not pictures:
            raise ValueError("expected frozen for a network that takes a picture or a map, got one of vectors alone")
        self.checks = tuple(
            FrameCheck(one.shape, one.dtype, frozen, name=one.name, may_stand=one.name not in pictures)
            for one in inputs
        )

    def reset(self) -> None:
        """Forget the frames before."""
        for check in self.checks:
            check.reset()

    @property
    def changed(self) -> bool:
        """Whether any input is another one than in the frame before."""
        return any(check.changed for check in self.checks)

    def taken(self, frame: Any) -> Any:
        """The frame as a tuple of arrays in the order of the inputs; what is none as it is."""
        try:
            return tuple(map(as_array, parts_of(frame, self._inputs)))
        except Exception:  # noqa: BLE001 (`judge` says what is wrong with it)
            return frame

    def judge(self, frame: Any) -> tuple[Status, str, bool]:
        """As `FrameCheck.judge`, of the inputs that are worst: those that cannot be taken, or FAULT before STALE."""
        try:
            parts = parts_of(frame, self._inputs)
        except (TypeError, ValueError) as error:
            return Status.FAULT, str(error), False
        found = [check.judge(part) for check, part in zip(self.checks, parts, strict=True)]
        runs = all(taken for _, _, taken in found)
        for worst in (Status.FAULT, Status.STALE):
            reasons = [reason for status, reason, taken in found if status is worst and taken is runs]
            if reasons:
                return worst, "; ".join(reasons), runs
        return _FINE


def frame_check_of(inputs: Sequence[Input], frozen: int | None) -> FrameCheck | InputsCheck:
    """What judges the frames of a network with these inputs."""
    if len(inputs) > 1:
        return InputsCheck(inputs, frozen)
    return FrameCheck(inputs[0].shape, inputs[0].dtype, frozen, key=inputs[0].name)


def noise_for(inputs: Sequence[Input], seed: int = 0) -> Any:
    """A frame of noise, with 1 for sizes left open: uniform in [0, 1), of bytes for integers.

    Those of 32 and 64 bits are 0: they may be indices, of which only the first is sure to be there.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for one in inputs:
        noise = rng.random(tuple(1 if size is None else size for size in one.shape), np.float32)
        dtype = np.dtype(one.dtype)
        largest = 1 if dtype.kind not in "iu" else 255 if dtype.itemsize < 4 else 0
        parts.append((np.asarray(noise) * np.float32(largest)).astype(dtype))
    return parts[0] if len(parts) == 1 else tuple(parts)


def batch_of_one(frame: Any) -> Any:
    """A frame with a batch axis in front of each of its arrays."""
    return each(frame, lambda part: part[None])


def as_array(frame: Any) -> Any:
    """A torch tensor as an array: a view of one on the CPU, a copy of any other. A number of numpy too; else as it is.

    Such a number is what an array (n,) gives for a frame, the speed of a vehicle for one.
    """
    if isinstance(frame, np.generic):
        return np.asarray(frame)
    torch = sys.modules.get("torch")
    try:
        return frame.detach().cpu().numpy() if torch is not None and isinstance(frame, torch.Tensor) else frame
    except Exception:  # noqa: BLE001 (a dtype that numpy lacks: the frame is refused by its type)
        return frame
