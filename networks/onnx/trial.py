"""A run of a model on zeros before it is observed: which shapes its tensors have, and which sizes of them are open."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..inputs import Input
from ..scores import count_classes
from .reading.entries import SIDES, Entries, InputShape, Shape, entries
from .reading.graph import OnnxGraph
from .reading.nodes import Nodes, operator
from .session import Runtime

_BATCH = 2  # samples in the trial run of a model that leaves the batch open: enough to tell its axis from others
_SIZED_BY_VALUES = frozenset(("compress", "if", "loop", "nonmaxsuppression", "nonzero", "unique"))
"""Operators of whose results the values of a frame decide the number of rows."""
_DETECTIONS = frozenset(("nonmaxsuppression",))


class SeenTensor(NamedTuple):
    """A tensor in the trial run: shape with the batch, None where a size is open; obstacle: why it is no tensor.

    again: another number of frames and the length of the first axis in a run on as many others; see `rows_of`.
    """

    shape: Shape
    dtype: str
    obstacle: str = ""
    again: tuple[int, int] | None = None


class TrialRun(NamedTuple):
    """What a trial run showed.

    inputs: with the shapes of one frame, None where a size is open. fixed: the batch size where the model fixes it.
    batch, samples: how many frames were run, and their shapes. tensors: of a graph without a batch axis each as in a
    batch of one. bare: those of them that have no such axis in the graph. whole: the outputs without a batch axis.
    """

    inputs: tuple[Input, ...]
    fixed: int | None
    batch: int
    samples: tuple[tuple[int, ...], ...]
    tensors: dict[str, SeenTensor]
    entries: Entries
    bare: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    @property
    def shape(self) -> Shape:
        """The shape of one frame, of the first input."""
        return self.inputs[0].shape

    def zeros(self) -> dict[str, np.ndarray]:
        """What the trial run was fed, by input."""
        return self.entries.feeds(self.batch, self.samples)

    def noise(self) -> dict[str, np.ndarray]:
        """Noise for another run of this size, by input; zeros where integers may be indices."""
        return self.entries.feeds(self.batch, self.samples, np.random.default_rng(0))

    def count_classes(self, scores: str, told: int | str | None, axis: int = 1) -> tuple[int | None, int | None]:
        """The classes that an output tells apart, in rows of scores or in a map; see `scores.count_classes`.

        An output without a batch axis tells none.
        """
        seen = self.tensors[scores]
        if told == "auto" and scores in self.whole and self.entries.batch_axis:
            return None, None
        return count_classes(seen.shape, "float" in seen.dtype, self.batch, told, axis)


def try_out(
    runtime: Runtime,
    graph: OnnxGraph,
    folder: Path | None,
    tensors: Iterable[str],
    asked: InputShape | None,
    batch_axis: bool | None = None,
) -> TrialRun:
    """Run a model whose weights may lie in a folder, and look at its outputs and at the tensors of these names.

    asked: the shape of one frame, of each input; what it leaves open is tried at two sizes. A run on other frames, and
    on another number of them where the model allows it, tells what first axes are. Raises ValueError for inputs that
    are no batch of numbers, a shape that does not fit them, and a model that runs at no size tried.
    """
    names = list(dict.fromkeys((*graph.outputs, *tensors)))
    session = runtime.session(graph.with_outputs(names), folder, optimised=False)
    own = entries(session, asked, batch_axis)
    fixed = own.fixed if own.batch_axis else 1

    def seen_with(
        batch: int, samples: Sequence[tuple[int, ...]], rng: np.random.Generator | None = None
    ) -> dict[str, SeenTensor]:
        values = runtime.run(session, names, own.feeds(batch, samples, rng))
        return {key: _seen(value) for key, value in zip(names, values, strict=True)}

    error: Exception | None = None
    for batch, filled in ((b, f) for b in ((fixed,) if fixed else (_BATCH, 1)) for f in own.fillings()):
        try:
            seen = seen_with(batch, filled)
            break
        except ValueError as failed:
            error = error or failed
    else:
        if not own.open and error is not None:
            raise error
        raise ValueError(
            f"expected input {', '.join(repr(one.name) for one in own.inputs)} to run at a size among"
            f" {', '.join(map(str, SIDES))}, got: {error}; say input_shape="
        ) from error
    if fixed is None and batch == 1:
        fixed = 1
    others = fixed or 1
    if own.batch_axis:
        try:
            again = seen_with(others, filled, np.random.default_rng(0))
            seen = {key: _seen_again(seen[key], others, again[key]) for key in seen}
        except ValueError:
            pass
    inputs = tuple(one._replace(shape=sizes) for one, sizes in zip(own.inputs, filled, strict=True))
    if own.open:
        for other in own.grown(filled):
            try:
                grown_too = seen_with(batch, other)
            except ValueError:
                continue
            seen = {key: _common(seen[key], grown_too[key]) for key in seen}
            inputs = tuple(
                one._replace(shape=tuple(None if a != b else a for a, b in zip(sizes, grown, strict=True)))
                for one, sizes, grown in zip(own.inputs, filled, other, strict=True)
            )
            break
    trial = TrialRun(inputs, fixed, batch, filled, seen, own)
    whole = _whole(runtime, session, graph, trial)
    if own.batch_axis:
        return trial._replace(whole=whole)
    bare = whole.union(name for name in seen if not _of_a_batch(seen[name], graph.channel_axis(name)))
    with_axis = {
        name: tensor._replace(shape=(1, *tensor.shape)) if name in bare else tensor for name, tensor in seen.items()
    }
    return trial._replace(tensors=with_axis, bare=bare, whole=frozenset(graph.outputs))


def _whole(runtime: Runtime, session: Any, graph: OnnxGraph, trial: TrialRun) -> frozenset[str]:
    """The outputs of which the first size is not that of the batch.

    It must follow the batch: where that is open, frames of noise are run one by one too. One row of a batch of one may
    be the frame or the one thing found in it. Where the model fixes such a batch, the shape that the file declares
    decides. Where that says nothing, it is the frame unless the values of a frame decide the number of rows.
    """
    outputs, n = list(graph.outputs), trial.fixed or 1
    found = {name for name in outputs if trial.tensors[name].shape[:1] != (trial.batch,)}
    for seed in range(2):
        try:
            values = runtime.run(session, outputs, trial.entries.feeds(n, trial.samples, np.random.default_rng(seed)))
        except ValueError:  # noise may be no frame, and one frame no batch
            continue
        found.update(name for name, value in zip(outputs, values, strict=True) if _seen(value).shape[:1] != (n,))
    batch = {1 if trial.fixed == 1 else None, trial.entries.batch_symbol} - {None}
    inferred = {value.name: (*value.shape, None)[0] for value in session.get_outputs()}
    declared = {name: graph.first_sizes[name] or inferred[name] for name in outputs}
    for name in set(outputs) - found if trial.fixed in (None, 1) else ():
        told, sized = declared[name], _SIZED_BY_VALUES if trial.fixed == 1 else _DETECTIONS
        tells = told is not None and trial.fixed == 1 and trial.entries.batch_axis
        if told not in batch and (tells or _is_behind(graph.nodes, name, sized)):
            found.add(name)
    return frozenset(found)


def _is_behind(nodes: Nodes, tensor: str, operators: Container[str]) -> bool:
    """Whether a tensor is computed with what such an operator returns."""
    behind, left = {tensor}, [tensor]
    while left:
        node = nodes.producers.get(left.pop())
        if node is not None and operator(node) in operators:
            return True
        for name in () if node is None else nodes.moving_operands(node):
            if name not in behind:
                behind.add(name)
                left.append(name)
    return False


def _of_a_batch(seen: SeenTensor, channels: int | None) -> bool:
    """Whether the first axis of a tensor in a graph without a batch axis is a batch of one, as convolutions need it.

    Of three axes the first, of size one, may be that of the channels; the graph tells.
    """
    return len(seen.shape) > 1 and seen.shape[0] == 1 and channels != 0


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
