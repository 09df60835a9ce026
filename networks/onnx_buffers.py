"""A session of ONNX Runtime bound to buffers that stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Buffers:
    """One array for what goes into a session and one for each output, bound once for batches of one size.

    values: the outputs, in the order of the names; each run fills them anew.
    Raises ValueError where an output is no tensor of numbers or its shape depends on the frames.
    """

    def __init__(self, session: Any, name: str, outputs: Sequence[str], zeros: np.ndarray) -> None:
        self._session = session
        self._frames = zeros
        self._binding = session.io_binding()
        other = np.random.default_rng(0).uniform(0, 2, zeros.shape).astype(zeros.dtype)
        first, second = (session.run(list(outputs), {name: frames}) for frames in (zeros, other))
        for output, value, again in zip(outputs, first, second, strict=True):
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
                raise ValueError(f"expected an output that fits a buffer, got {type(value).__name__} at {output!r}")
            if value.shape != again.shape:
                raise ValueError(
                    f"expected outputs of one shape for a buffer, got {value.shape} and {again.shape} at {output!r}"
                )
        self.values = [np.zeros_like(value, order="C") for value in first]
        self._bind(self._binding.bind_input, name, self._frames)
        for output, value in zip(outputs, self.values, strict=True):
            self._bind(self._binding.bind_output, output, value)

    @property
    def size(self) -> int:
        """Frames in a batch."""
        return len(self._frames)

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """Copy the frames in and run; the buffers of the outputs, valid until the next run."""
        np.copyto(self._frames, batch)
        self._session.run_with_iobinding(self._binding)
        return self.values

    @staticmethod
    def _bind(bind: Any, name: str, array: np.ndarray) -> None:
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
