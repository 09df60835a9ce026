"""A session of ONNX Runtime bound to buffers that stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..inputs import together
from ..network import Observation

_LARGE = 1 << 19  # bytes
_ALIGNED = 64  # bytes

Fill = Callable[[], object]
"""Brings what a run left in the buffers into the form of an observation."""


class Buffers:
    """An array for each input of a session and one for each output, bound once for batches of one size.

    frames: for the inputs by name, (size, *shape); their first axis stays out of a graph that has no `batch_axis`.
    feed: hands the next run a batch of these shapes and dtypes, an array or a tuple of several. A small array is copied
    into that of `frames`. A large one takes longer to copy than to bind, so it is bound. So is every batch off the CPU,
    since ONNX Runtime copies it at once. run: without arguments; it fills `values`, the outputs in the order of the
    names.
    Raises ValueError where an output is no tensor of numbers or its shape depends on the frames.
    """

    def __init__(
        self, session: Any, frames: Mapping[str, np.ndarray], outputs: Sequence[str], *, batch_axis: bool = True
    ) -> None:
        self.frames = dict(frames)
        binding = session.io_binding()
        self.run: Callable[[], None] = partial(session.run_with_iobinding, binding)
        rng = np.random.default_rng(0)
        other = {name: rng.uniform(0, 2, zeros.shape).astype(zeros.dtype) for name, zeros in frames.items()}
        first, second = (
            session.run(list(outputs), {name: array if batch_axis else array[0, ...] for name, array in feeds.items()})
            for feeds in (frames, other)
        )
        for output, value, again in zip(outputs, first, second, strict=True):
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
                raise ValueError(f"expected an output that fits a buffer, got {type(value).__name__} at {output!r}")
            if value.shape != again.shape:
                raise ValueError(
                    f"expected outputs of one shape for a buffer, got {value.shape} and {again.shape} at {output!r}"
                )
        self.values = _room_for(first)
        off_cpu = session.get_providers()[0] != "CPUExecutionProvider"
        takes = [
            _Entry(partial(binding.bind_ortvalue_input, name), zeros, batch_axis).taker(off_cpu)
            for name, zeros in frames.items()
        ]
        self.feed: Callable[[Any], object] = takes[0] if len(takes) == 1 else partial(_feed_all, takes)
        for output, value in zip(outputs, self.values, strict=True):
            binding.bind_output(output, "cpu", 0, value.dtype, value.shape, value.ctypes.data)


def _feed_all(takes: Sequence[Callable[[np.ndarray], object]], batch: Sequence[np.ndarray]) -> None:
    for take, array in zip(takes, batch, strict=True):
        take(array)


class _Entry:
    """The array of one input, which `bind` binds."""

    def __init__(self, bind: Callable[[Any], object], zeros: np.ndarray, batch_axis: bool) -> None:
        from onnxruntime import OrtValue

        self._bind, self._zeros, self._batch_axis, self._wrap = bind, zeros, batch_axis, OrtValue.ortvalue_from_numpy
        self._lend(zeros)

    def taker(self, off_cpu: bool) -> Callable[[np.ndarray], object]:
        """What hands the next run an array."""
        lends = self._zeros.nbytes >= _LARGE or off_cpu
        return self._lend if lends else partial(self._zeros.__setitem__, ...)

    def _lend(self, array: np.ndarray) -> None:
        if not array.flags.c_contiguous:
            self._zeros[...] = array
            array = self._zeros
        self._bind(self._wrap(array if self._batch_axis else array[0, ...]))


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
    feed: hands the next run a batch, an array or a tuple of several. run: computes the outputs. check: the arrays of a
    batch; it raises for a batch that the network does not take.
    """

    def __init__(
        self,
        buffers: Buffers,
        seen: Observation,
        fills: Sequence[Fill],
        check: Callable[[Any], tuple[np.ndarray, ...]],
    ) -> None:
        first, *others = buffers.frames.values()
        self._shape: tuple[int, ...] | None = None if others else first.shape
        self._dtype = first.dtype
        self.feed, self.run, self._fills, self._check = buffers.feed, buffers.run, fills, check
        self.size = len(first)
        self.seen = seen

    def observe(self, batch: Any) -> Observation:
        """As `OnnxNetwork.observe`, for a batch of this size; valid until the next call."""
        if type(batch) is not np.ndarray or batch.shape != self._shape or batch.dtype is not self._dtype:
            batch = self._checked(batch)
        self.feed(batch)
        self.run()
        for fill in self._fills:
            fill()
        return self.seen

    def close(self) -> None:
        """Refuse every batch from now on; `OnnxNetwork.close` calls this."""
        self._shape = None

    def _checked(self, batch: Any) -> Any:
        """The batch as `feed` takes it. Raises for one that does not fit; another kind of array may."""
        parts = self._check(batch)
        if len(parts[0]) != self.size:
            raise ValueError(f"expected a batch of {self.size}, got {len(parts[0])}")
        return together(parts)


def shapes_are_fixed(session: Any, read: Container[str | None]) -> bool:
    """Whether the graph says of every output what shape it has, but for the axis of the batch.

    read: the outputs that taps and class scores are read from. They are left out: their shape was seen when the network
    was opened, while graphs often lose it, as behind a reshape to (-1, ...).
    """
    batch = {sample.shape[0] for sample in session.get_inputs() if sample.shape}
    return all(
        all(isinstance(size, int) for size in output.shape[1:])
        and (not output.shape or isinstance(output.shape[0], int) or output.shape[0] in batch)
        for output in session.get_outputs()
        if output.name not in read
    )
