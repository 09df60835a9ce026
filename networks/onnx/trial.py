"""A run of a model on zeros before it is observed: which shapes its tensors have, and which sizes of them are open."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..network import fits
from ..scores import count_classes
from .reading.graph import OnnxGraph
from .session import Runtime

_BATCH = 2  # samples in the trial run of a model that leaves the batch open: enough to tell its axis from others
_SIDES = (64, 128, 224, 256, 320, 512, 640, 32, 16, 8)
_STEP = 64  # between the sizes of two trial runs: more than the stride of a whole network
_NOISE = 2  # of frames that differ from zeros; cast to integers they are 0 and 1, which most tables hold
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    **{f"tensor({kind})": kind for kind in ("uint8", "int8", "uint16", "int16", "int32", "int64")},
}

Shape = tuple[int | None, ...]


class SeenTensor(NamedTuple):
    """A tensor in the trial run: shape with the batch, None where a size is open; obstacle: why it is no tensor.

    again: another number of frames and the length of the first axis in a run on as many others; see `rows_of`.
    """

    shape: Shape
    dtype: str
    obstacle: str = ""
    again: tuple[int, int] | None = None


class TrialRun(NamedTuple):
    """What a trial run showed. input: its name. fixed: the batch size where the model fixes it. shape: of one sample,
    None where it is open. batch, sample: how many samples were run, and their shape.
    """

    input: str
    dtype: str
    fixed: int | None
    shape: Shape
    batch: int
    sample: tuple[int, ...]
    tensors: dict[str, SeenTensor]

    def count_classes(self, scores: str, told: int | str | None, axis: int = 1) -> tuple[int | None, int | None]:
        """The classes that an output tells apart, in rows of scores or in a map; see `scores.count_classes`."""
        seen = self.tensors[scores]
        return count_classes(seen.shape, "float" in seen.dtype, self.batch, told, axis)


def try_out(
    runtime: Runtime, graph: OnnxGraph, folder: Path | None, tensors: Iterable[str], asked: Sequence[int | None] | None
) -> TrialRun:
    """Run a model whose weights may lie in a folder, and look at its outputs and at the tensors of these names.

    asked: the shape of one sample; what it leaves open is tried at two sizes. A run on other frames, and on another
    number of them where the model allows it, tells what first axes are. Raises ValueError for an input that is no
    batch of numbers, a shape that does not fit it, and a model that runs at no size tried.
    """
    names = list(dict.fromkeys((*graph.outputs, *tensors)))
    session = runtime.session(graph.with_outputs(names), folder, optimised=False)
    name, dtype, fixed, sample = _input(session, asked)

    def seen_with(batch: int, sizes: tuple[int, ...], noise: float = 0) -> dict[str, SeenTensor]:
        frames = np.random.default_rng(0).uniform(0, noise, (batch, *sizes)).astype(dtype)
        values = runtime.run(session, names, {name: frames})
        return {key: _seen(value) for key, value in zip(names, values, strict=True)}

    error: Exception | None = None
    for batch, filled in itertools.product((fixed,) if fixed else (_BATCH, 1), _fillings(sample)):
        try:
            seen = seen_with(batch, filled)
            break
        except ValueError as failed:
            error = error or failed
    else:
        if None not in sample and error is not None:
            raise error
        raise ValueError(
            f"expected input {name!r} to run at a size among {', '.join(map(str, _SIDES))}, got: {error};"
            " say input_shape="
        ) from error
    if fixed is None and batch == 1:
        fixed = 1
    others = fixed or 1
    try:
        again = seen_with(others, filled, _NOISE)
        seen = {key: _seen_again(seen[key], others, again[key]) for key in seen}
    except ValueError:
        pass
    shape: Shape = filled
    if None in sample:
        for other in _grown(sample, filled):
            try:
                grown_too = seen_with(batch, other)
            except ValueError:
                continue
            seen = {key: _common(seen[key], grown_too[key]) for key in seen}
            shape = tuple(None if grown != size else size for size, grown in zip(filled, other, strict=True))
            break
    return TrialRun(name, dtype, fixed, shape, batch, filled, seen)


def _input(session: Any, asked: Sequence[int | None] | None) -> tuple[str, str, int | None, Shape]:
    """Name, dtype, fixed batch size or None, and shape of one sample, of a model's input."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = [value.name for value in inputs]
        todo = f"; give the others constant values, feeds={{{names[-1]!r}: array}}" if names else ""
        raise ValueError(f"expected a model with one input, got {', '.join(names) or 'none'}{todo}")
    name, shape = inputs[0].name, tuple(inputs[0].shape)
    if inputs[0].type not in _DTYPES:
        raise ValueError(f"expected input {name!r} to be a tensor of numbers, got {inputs[0].type}")
    if len(shape) < 2:
        raise ValueError(f"expected input {name!r} of shape (batch, ...), got {shape}")
    declared = tuple(size if isinstance(size, int) else None for size in shape)
    sample = declared[1:] if asked is None else tuple(asked)
    if not fits(sample, declared[1:]):
        raise ValueError(f"expected input_shape to fit input {name!r} of shape {shape}, got {sample}")
    return name, _DTYPES[inputs[0].type], declared[0], sample


def _fillings(sample: Shape) -> Iterator[tuple[int, ...]]:
    """Shapes to try; a picture whose channels are open too has 3 or 1 of them, first or last."""
    if None not in sample:
        yield tuple(size or 0 for size in sample)
        return
    forms: list[Shape] = [sample]
    if len(sample) == 3 and sample[0] is None and sample[2] is not None and sample[1] is not None:
        forms = [(channels, *sample[1:]) for channels in (3, 1)]
    elif sample == (None, None, None):
        forms = [(3, None, None), (1, None, None), (None, None, 3), (None, None, 1)]
    for side in _SIDES:
        for form in forms:
            yield tuple(side if size is None else size for size in form)


def _grown(sample: Shape, filled: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Larger sizes for the open axes, each by a step of its own where possible; channels stay."""
    opened = [axis for axis, size in enumerate(sample) if size is None and filled[axis] not in (1, 3)]
    for factor, stride in ((1, 1), (2, 1), (1, 0), (2, 0)):
        steps = {axis: _STEP * factor * (1 + i * stride) for i, axis in enumerate(opened)}
        yield tuple(size + steps.get(axis, 0) for axis, size in enumerate(filled))


def _seen(value: Any) -> SeenTensor:
    if isinstance(value, np.ndarray):
        return SeenTensor(value.shape, str(value.dtype))
    return SeenTensor((), "", f"expected a tensor, got {type(value).__name__}")


def _seen_again(one: SeenTensor, frames: int, other: SeenTensor) -> SeenTensor:
    return one if not other.shape or other.shape[0] is None else one._replace(again=(frames, other.shape[0]))


def _common(one: SeenTensor, other: SeenTensor) -> SeenTensor:
    if len(one.shape) != len(other.shape):
        obstacle = f"expected {len(one.shape)} axes for every image size, got {len(other.shape)} too"
        return SeenTensor((), one.dtype, obstacle)
    shape = tuple(a if a == b else None for a, b in zip(one.shape, other.shape, strict=True))
    return one._replace(shape=shape)
