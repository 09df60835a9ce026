"""Neurons of attention heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...tap import Tap
from ..proto import Fragment
from .parts import Pooled, PooledForm, floats, shape_of


def pooled_heads(fragment: Fragment, tap: Tap) -> Pooled:
    """Neurons of attention heads, (batch, heads) or (batch, heads, channels)."""
    source = floats(fragment, tap)
    if tap.shift:
        source = fragment.node("Add", source, fragment.constant(tap.shift, np.float32))
    tokens = 2 if tap.layout == "NHLC" else 1
    sizes: tuple[int | None, ...] = (-1, *tap.shape)
    if None in tap.shape:
        sizes = (0, -1, *tap.shape[1:]) if tokens == 1 else (0, tap.shape[0], -1, tap.shape[2])
    source = fragment.node("Reshape", source, shape_of(fragment, *sizes))
    if tap.neurons == "head":
        square = fragment.node("Mul", source, source)
        name = fragment.node("Sqrt", _reduced(fragment, "ReduceMean", square, (tokens, 3)))
    else:
        name = _reduced(fragment, "ReduceMean" if tap.neurons == "channel" else "ReduceMax", source, (tokens,))
        name = fragment.node("Flatten", name, axis=1)
    return Pooled(name, PooledForm("planes", "float32", 2, 1, 0))


def _reduced(fragment: Fragment, op: str, source: str, axes: Sequence[int]) -> str:
    """A reduction, whose axes became an input with opset 18."""
    if fragment.opset >= 18:
        return fragment.node(op, source, fragment.constant(axes, np.int64), keepdims=0)
    return fragment.node(op, source, axes=tuple(axes), keepdims=0)
