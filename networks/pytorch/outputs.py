"""Which output of a module holds the class scores, of which kind they are, and which outputs have a batch axis."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..scores import LOGITS, PROBABILITIES
from .reading.functions import name_of
from .reading.tracer import Call, Key

_MOVING = frozenset(("view", "reshape", "flatten", "squeeze", "unsqueeze", "float", "double", "to", "contiguous",
    "type", "dequantize", "clone", "detach", "getitem", "clamp", "clip"))  # fmt: skip
_MIXING = frozenset(("add", "cat", "div", "mean", "stack", "sum", "truediv"))
"""Functions that make probabilities of some values, or of probabilities; the rows of the trial run tell."""
_SUM_OFF, _ROUNDED = 2e-2, 1e-3  # of probabilities that were rounded to eight bits, and as floats


def scores_of(output: Any, key: int | str) -> tuple[tuple[int, ...] | str, bool]:
    """The shape of the class scores among a module's outputs, or what they are instead, and whether they are floats."""
    scores = pick(output, key)
    if isinstance(scores, Tensor):
        return tuple(scores.shape), scores.is_floating_point()
    return type(scores).__name__, False


def usual_key(output: Any) -> int | str | None:
    """The output with the class scores where nobody names one: the only one, or ``logits``; None for several others."""
    if isinstance(output, Tensor):
        return 0
    named = _named(output)
    tensors = [key for key, value in named.items() if isinstance(key, int) and value is not None]
    if "logits" in named:
        return "logits"
    return tensors[0] if len(tensors) == 1 else None


def pick(output: Any, key: int | str | None) -> Any:
    """One of a module's outputs. Raises ValueError for an index or name that is not there."""
    if isinstance(output, Tensor) and key == 0:
        return output
    named = _named(output)
    if key not in named:
        raise ValueError(f"expected scores_output to be one of the outputs {', '.join(map(repr, named))}, got {key!r}")
    return named[key]


def class_scores_of(values: Tensor, scores: str) -> Tensor:
    """What `class_scores` makes of an output, as a tensor (n, classes) that gradients flow through."""
    rows = values.float().flatten(1) if values.ndim > 1 else values.float().unsqueeze(1)
    if rows.shape[1] != 1:
        return rows
    return torch.cat([1 - rows if scores == PROBABILITIES else torch.zeros_like(rows), rows], dim=1)


def _named(output: Any) -> dict[Any, Any]:
    if isinstance(output, Tensor):
        return {0: output}
    if isinstance(output, Mapping):
        return {**dict(enumerate(output.values())), **output}
    if isinstance(output, (tuple, list)):
        return {**dict(enumerate(output)), **(output._asdict() if hasattr(output, "_asdict") else {})}
    if dataclasses.is_dataclass(output) or hasattr(output, "__dict__"):
        return {**dict(enumerate(vars(output).values())), **vars(output)}
    return {0: output}


def kind_of_scores(scores: Tensor, key: Key, calls: Sequence[Call], classes: int) -> str:
    """``probabilities`` where a softmax made the class scores, or a sigmoid those of two classes in one column.

    Reshapes and casts behind it do not matter. Scores of a function that cannot be seen, as of quantised modules, are
    told by their values in the trial run: all rows, or all places of a map, sum to 1. key: of the scores among the
    calls.
    """
    made: dict[Key, Call] = {}
    for call in calls:
        if not call.is_module:
            made.update((one.key, call) for one in call.outputs)
    while key in made:
        call = made.pop(key)
        name = name_of(call.of)
        if name == "softmax" or (name in ("sigmoid", "hardsigmoid") and _is_column(scores)):
            return PROBABILITIES
        if name in _MIXING:
            return _kind_of_rows(scores, classes, _ROUNDED)
        if (name not in _MOVING and not (name == "rsub" and _is_column(scores))) or not call.inputs:
            return LOGITS
        key = call.inputs[0].key
    return _kind_of_rows(scores, classes, _SUM_OFF)


def _kind_of_rows(scores: Tensor, classes: int, off: float) -> str:
    values = scores.detach().float()
    rows = values.reshape(len(values), -1) if values.ndim < 3 else values.movedim(1, -1).reshape(-1, values.shape[1])
    sums = (rows.sum(1) - 1).abs()
    shares = classes > 1 < rows.shape[1] and bool((rows >= 0).all() and (sums <= off).all())
    return PROBABILITIES if shares else LOGITS


def _is_column(scores: Tensor) -> bool:
    return scores.numel() == len(scores)


def batch_axes(output: Any, frames: int, again: Any, other: int) -> Any:
    """Which of a module's outputs have a batch axis, in the form of the outputs.

    output, again: of runs on two numbers of frames; again may be None, and then the first alone decides.
    """
    if isinstance(output, Tensor):
        follows = not isinstance(again, Tensor) or (again.ndim > 0 and len(again) == other)
        return output.ndim > 0 and len(output) == frames and follows
    if isinstance(output, Mapping):
        there = again if isinstance(again, Mapping) else {}
        return {key: batch_axes(value, frames, there.get(key), other) for key, value in output.items()}
    if isinstance(output, (tuple, list)):
        others = again if isinstance(again, (tuple, list)) and len(again) == len(output) else [None] * len(output)
        return [batch_axes(value, frames, one, other) for value, one in zip(output, others, strict=True)]
    if is_record(output):
        return batch_axes(vars(output), frames, vars(again) if type(again) is type(output) else None, other)
    return False


def without_axes(output: Any, axes: Any) -> Any:
    """The output for a batch of one frame, without the batch axes that `batch_axes` found."""
    if isinstance(output, Tensor):
        return output[0] if axes is True and output.ndim and len(output) == 1 else output
    if isinstance(output, Mapping) and isinstance(axes, dict):
        kind: Any = type(output)
        changed = {key: without_axes(value, axes.get(key)) for key, value in output.items()}
        return kind(**changed) if hasattr(kind, "__dataclass_fields__") else kind(changed)
    if isinstance(output, (tuple, list)) and isinstance(axes, list) and len(axes) == len(output):
        items = [without_axes(value, one) for value, one in zip(output, axes, strict=True)]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    if is_record(output) and isinstance(axes, dict):
        bare = copy.copy(output)
        for name, value in vars(output).items():
            object.__setattr__(bare, name, without_axes(value, axes.get(name)))
        return bare
    return output


def is_record(output: Any) -> bool:
    """Whether an output is an object of a dataclass, which holds others."""
    return dataclasses.is_dataclass(output) and not isinstance(output, type) and hasattr(output, "__dict__")


def same_bits(one: Any, other: Any) -> bool:
    """Whether two outputs are the same to the last bit, NaN included."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = one.shape == other.shape and one.dtype == other.dtype
        return alike and bool(torch.equal(one, other) or ((one == other) | (one.isnan() & other.isnan())).all())
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return list(one) == list(other) and all(same_bits(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if hasattr(one, "__dict__") and type(one) is type(other):
        return same_bits(vars(one), vars(other))
    return bool(one == other)
