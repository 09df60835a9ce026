"""A session of ONNX Runtime bound to buffers that stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..network import Observation

_LARGE = 1 << 19  # bytes
_ALIGNED = 64  # bytes

Fill = Callable[[], object]
"""Brings what a run left in the buffers into the form of an observation."""


class Buffers:
    """An array for the input of a session and one for each output, bound once for batches of one size.

    feed: hands the next run a batch of the shape and dtype of `frames`. A small batch is copied into `frames`. A large
    one takes longer to copy than to bind, so it is bound. So is every batch off the CPU, since ONNX Runtime copies it
    at once. run: without arguments; it fills `values`, the outputs in the order of the names.
    Raises ValueError where an output is no tensor of numbers or its shape depends on the frames.
    """

    def __init__(self, session: Any, name: str, outputs: Sequence[str], zeros: np.ndarray) -> None:
        from onnxruntime import OrtValue

        self.frames = zeros
        binding = session.io_binding()
        self.run: Callable[[], None] = partial(session.run_with_iobinding, binding)
        other = np.random.default_rng(0).uniform(0, 2, zeros.shape).astype(zeros.dtype)
        first, second = (session.run(list(outputs), {name: frames}) for frames in (zeros, other))
        for output, value, again in zip(outputs, first, second, strict=True):
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
                raise ValueError(f"expected an output that fits a buffer, got {type(value).__name__} at {output!r}")
            if value.shape != again.shape:
                raise ValueError(
                    f"expected outputs of one shape for a buffer, got {value.shape} and {again.shape} at {output!r}"
                )
        self.values = _room_for(first)
        lends = zeros.nbytes >= _LARGE or session.get_providers()[0] != "CPUExecutionProvider"
        self._take, self._wrap = partial(binding.bind_ortvalue_input, name), OrtValue.ortvalue_from_numpy
        self.feed: Callable[[np.ndarray], object] = self._lend if lends else partial(zeros.__setitem__, ...)
        self._lend(zeros)
        for output, value in zip(outputs, self.values, strict=True):
            binding.bind_output(output, "cpu", 0, value.dtype, value.shape, value.ctypes.data)

    def _lend(self, batch: np.ndarray) -> None:
        if not batch.flags.c_contiguous:
            self.frames[...] = batch
            batch = self.frames
        self._take(self._wrap(batch))


def _room_for(values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays of these shapes and dtypes. Those of float32 lie in one array, so that they are read together."""
    step = _ALIGNED // 4
    sizes = [-(-value.size // step) * step if value.dtype == np.float32 else 0 for value in values]
    ends = np.cumsum(sizes)
    whole = np.zeros(ends[-1], np.float32)
    return [
        whole[end - size :][: value.size].reshape(value.shape) if size else np.zeros_like(value, order="C")
        for value, size, end in zip(values, sizes, ends, strict=True)
    ]


class BufferedNetwork:
    """Observes batches of one size in arrays that stay where they are, from one thread at a time.

    Made by `OnnxNetwork.buffered`. seen: what `observe` returns, the same object every time, filled anew.
    feed: hands the next run a batch. run: computes the outputs. check: raises for a batch that the network does not
    take.
    """

    def __init__(
        self, buffers: Buffers, seen: Observation, fills: Sequence[Fill], check: Callable[[np.ndarray], Any]
    ) -> None:
        self._shape: tuple[int, ...] | None = buffers.frames.shape
        self._dtype = buffers.frames.dtype
        self.feed, self.run, self._fills, self._check = buffers.feed, buffers.run, fills, check
        self.size = len(buffers.frames)
        self.seen = seen

    def observe(self, batch: np.ndarray) -> Observation:
        """As `OnnxNetwork.observe`, for a batch of this size; valid until the next call."""
        if type(batch) is not np.ndarray or batch.shape != self._shape or batch.dtype is not self._dtype:
            self._refuse(batch)
        self.feed(batch)
        self.run()
        for fill in self._fills:
            fill()
        return self.seen

    def close(self) -> None:
        """Refuse every batch from now on; `OnnxNetwork.close` calls this."""
        self._shape = None

    def _refuse(self, batch: Any) -> None:
        """Raise for a batch that does not fit; another kind of array may."""
        self._check(batch)
        if len(batch) != self.size:
            raise ValueError(f"expected a batch of {self.size}, got {len(batch)}")


def shapes_are_fixed(session: Any, read: Container[str | None]) -> bool:
    """Whether the graph says of every output what shape it has, but for the axis of the batch.

    read: the outputs that taps and class scores are read from. They are left out: their shape was seen when the network
    was opened, while graphs often lose it, as behind a reshape to (-1, ...).
    """
    (sample,) = session.get_inputs()
    return all(
        all(isinstance(size, int) for size in output.shape[1:])
        and (not output.shape or isinstance(output.shape[0], int) or output.shape[0] == sample.shape[0])
        for output in session.get_outputs()
        if output.name not in read
    )
