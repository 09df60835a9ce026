"""An ONNX model as it is: sessions of the kind that a network has, and frames of noise to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ...networks.inputs import Input
from ...networks.onnx.files import check_external, read_model
from ...networks.onnx.reading.entries import InputShape
from ...networks.onnx.reading.graph import OnnxGraph
from ...networks.onnx.session import Runtime
from ...networks.onnx.trial import try_out
from ..inputs.networks import onnx_file

Frames = Mapping[str, np.ndarray]
"""Frames by the name of the input, (n, *shape) each."""


class BareModel:
    """An ONNX file without taps, on the CPU.

    threads: of every session; they do not spin. input_shape, batch_axis: as `OnnxNetwork` takes them.

    inputs: with shapes that are known. rows: the frames of one run, which the model may fix; None for a model that
    takes a single frame without a batch axis.
    Raises FileNotFoundError, ImportError without onnxruntime, and ValueError for a file that cannot be run and for
    sizes that stay open.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int = 1,
        input_shape: InputShape | None = None,
        batch_axis: bool | None = None,
    ) -> None:
        self.path, self.threads = onnx_file(path), threads
        self._runtime = Runtime(("CPUExecutionProvider",), threads)
        graph, folder = OnnxGraph(read_model(self.path)), self.path.parent.absolute()
        check_external(graph.external_tensors, folder)
        trial = try_out(self._runtime, graph, folder, (), input_shape, batch_axis)
        for one in trial.inputs:
            if None in one.shape:
                raise ValueError(
                    f"{path}: expected input sizes that are known, got {one.shape} for input {one.name!r};"
                    " say input_shape="
                )
        self.inputs = trial.inputs
        self.rows = (trial.fixed or 1) if trial.entries.batch_axis else None

    def call(self, path: Path, frames: Frames) -> Callable[[], object]:
        """One run of a model in the file `path`, which takes what this one takes, on the first of the frames.

        All its outputs are fetched. It was run once. Raises ValueError where it cannot be run.
        """
        session = self._runtime.session(read_model(path), path.parent.absolute())
        outputs, feeds = [output.name for output in session.get_outputs()], self.feeds(frames)
        self._runtime.run(session, outputs, feeds)
        return partial(session.run, outputs, feeds)

    def feeds(self, frames: Frames) -> dict[str, np.ndarray]:
        """What one run takes: the first frame, as often as the model fixes."""
        first = {one.name: np.ascontiguousarray(frames[one.name][0]) for one in self.inputs}
        if self.rows is None:
            return first
        return {name: np.repeat(frame[None], self.rows, axis=0) for name, frame in first.items()}

    def noise(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Frames of noise: standard normal, or any pixel; integers that may be indices are 0 or 1."""
        rng = np.random.default_rng(seed)
        return {one.name: _noise(one, count, rng) for one in self.inputs}


def _noise(one: Input, count: int, rng: np.random.Generator) -> np.ndarray:
    shape = (count, *(size for size in one.shape if size is not None))
    dtype = np.dtype(one.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape, np.float32).astype(dtype)
    return rng.integers(0, _above(dtype), shape).astype(dtype)


def _above(dtype: np.dtype) -> int:
    """What integers of noise are below."""
    return 256 if dtype == np.uint8 else 2


def moved(frames: Frames, count: int, share: float, seed: int = 1) -> dict[str, np.ndarray]:
    """Frames that are nearly the given ones, in turn: with noise of this share of their spread.

    Of integers this share of the values goes up by one, and the highest to 0; one value at least.
    """
    rng = np.random.default_rng(seed)
    return {name: _moved(values, count, share, rng) for name, values in frames.items()}


def _moved(values: np.ndarray, count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    near = values[np.arange(count) % len(values)]
    if values.dtype.kind == "f":
        step = share * float(values.std(dtype=np.float64))
        return near + (step * rng.standard_normal(near.shape, np.float32)).astype(values.dtype)
    flat = near.reshape(count, -1).astype(np.int64)
    for row in flat:
        row[rng.choice(row.size, max(1, round(share * row.size)), replace=False)] += 1
    return (flat % _above(values.dtype)).astype(values.dtype).reshape(near.shape)
