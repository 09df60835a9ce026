"""Neurons of a tap on their way to one tensor for all taps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...neurons import FIRST
from ...tap import Tap
from ..half_precision import may_round
from ..proto import Fragment

FLOAT = 1  # TensorProto.DataType
_BLOCKS = 16, 8
_LAST_FORMS = "rows", "samples"

BYTES = ("uint8", "int8")


class PooledForm(NamedTuple):
    """What parts have in common that can be joined.

    form: ``planes`` (batch, channels, ...), ``rows`` (batch, cells, channels) or ``samples`` (batch, places...,
    channels), of which the mean over the places is yet to be taken. dtype, rank: of the tensor. cells: of a channel.
    shift: what is added to codes. block: the channels fill blocks of so many in ONNX Runtime's own layout, which has 16
    with AVX-512 and 8 with AVX2; a tensor where they do not would bring all others out of it.
    """

    form: str
    dtype: str
    rank: int
    cells: int
    shift: int
    block: int = 1


class Pooled(NamedTuple):
    """Neurons of a tap, not yet flat. counts: what sums of codes are divided by, (cells, channels) float32."""

    tensor: str
    group: PooledForm
    counts: np.ndarray | None = None


def join(fragment: Fragment, group: PooledForm, parts: Sequence[Pooled]) -> str:
    """Parts of one group as a (batch, sum of sizes) float32 tensor, channel by channel."""
    names = [part.tensor for part in parts]
    rows = group.form == "rows"
    last = group.form in _LAST_FORMS
    name = names[0] if len(names) == 1 else fragment.node("Concat", *names, axis=group.rank - 1 if last else 1)
    if group.form == "samples":
        total = sum(part.counts.shape[1] for part in parts if part.counts is not None)
        return _means(fragment, group, name, total)
    if group.dtype == "int32":
        counts = np.concatenate([part.counts for part in parts if part.counts is not None], axis=1)
        if group.shift:
            name = fragment.node("Add", name, fragment.constant(counts * group.shift, np.int32))
        name = fragment.node("Div", fragment.node("Cast", name, to=FLOAT), fragment.constant(counts))
    else:
        name = name if group.dtype == "float32" else fragment.node("Cast", name, to=FLOAT)
        if group.shift:
            name = fragment.node("Add", name, fragment.constant(group.shift, np.float32))
    if rows and group.cells > 1:
        name = fragment.node("Transpose", name, perm=(0, 2, 1))
    return fragment.node("Flatten", name, axis=1) if group.rank > 2 else name


def _means(fragment: Fragment, group: PooledForm, name: str, total: int) -> str:
    """The means of samples over their places, (batch, total) float32."""
    if group.rank > 3:
        name = fragment.node("Reshape", name, shape_of(fragment, -1, group.cells, total))
    if group.dtype in BYTES:
        name = fragment.node("MatMulInteger", fragment.constant(np.ones((1, group.cells)), np.uint8), name)
        if group.shift:
            name = fragment.node("Add", name, fragment.constant(group.cells * group.shift, np.int32))
        name = fragment.node("Cast", name, to=FLOAT)
        name = fragment.node("Div", name, fragment.constant(group.cells, np.float32))
    else:
        name = fragment.node("MatMul", fragment.constant(np.full((1, group.cells), 1 / group.cells), np.float32), name)
    return fragment.node("Flatten", name, axis=1)


def block_of(channels: int) -> int:
    """Into blocks of how many channels such a number divides; 1 for none of those there are."""
    return next((block for block in _BLOCKS if channels % block == 0), 1)


def floats(fragment: Fragment, tap: Tap) -> str:
    """The tapped tensor as float32.

    ONNX Runtime computes in float32 what has no kernel in half precision. It rounds in between only where something
    reads a tensor in half precision, as a cast does, and behind an activation in any case. Elsewhere a sum of one
    operand, which has no such kernel either, keeps it from rounding.
    """
    if tap.dtype == "float32":
        return tap.name
    source = tap.name
    if may_round(tap):
        source = fragment.node("Sum", source)
    return fragment.node("Cast", source, to=FLOAT)


def channels_first(fragment: Fragment, tap: Tap, source: str) -> str:
    last = len(tap.shape)
    return source if tap.layout in FIRST else fragment.node("Transpose", source, perm=(0, last, *range(1, last)))


def flat(fragment: Fragment, tap: Tap, source: str) -> str:
    """A map whose channels are last as (batch, places, channels)."""
    if len(tap.shape) == 2:
        return source
    channels = tap.shape[0 if tap.layout in FIRST else -1]
    return fragment.node("Reshape", source, shape_of(fragment, -1, product(tap.map_sizes), channels))


def shape_of(fragment: Fragment, *sizes: int | None) -> str:
    return fragment.constant(sizes, np.int64)


def product(sizes: Sequence[int | None]) -> int:
    """0 where one is open."""
    return math.prod(size or 0 for size in sizes)
