"""Means of channels over a few places of a map, of which no more than these places is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...neurons import FIRST, lattice
from ...tap import Tap
from ..proto import Fragment
from .maps import pooled_maps
from .parts import BYTES, Pooled, PooledForm, block_of, channels_first, floats, shape_of

_SLICES_WITH_STEPS = 10  # the operator set


def sampled_maps(fragment: Fragment, tap: Tap) -> Pooled:
    """Neurons ``sampleK`` of a map with more places than these.

    What a convolution computes is read in ONNX Runtime's blocks, by another convolution of each channel by itself: its
    kernel has the places' distance as its dilation, and one step. Elsewhere a slice takes the places.
    """
    if tap.layout == "NCHW" and tap.dtype == "float32" and tap.name in fragment.convolved:
        return _in_blocks(fragment, tap)
    if tap.dtype in BYTES:  # channels last, as quantised convolutions have them
        source = tap.name
        if tap.layout in FIRST:
            source = fragment.node("Transpose", source, perm=(0, *range(2, len(tap.shape) + 1), 1))
        return _channels_last(fragment, tap, source)
    source = floats(fragment, tap)
    if tap.layout not in FIRST and source == tap.name:  # not behind a cast, see `join_neurons`
        return _channels_last(fragment, tap, source)
    source = _places(fragment, tap, channels_first(fragment, tap, source), 2)
    channels = tap.size
    there = replace(tap, shape=(channels, *_counts(tap)), layout=_FIRST_OF[len(tap.shape)], neurons="channel")
    return pooled_maps(fragment, there, source)


_FIRST_OF = {2: "NCL", 3: "NCHW", 4: "NCDHW"}


def _in_blocks(fragment: Fragment, tap: Tap) -> Pooled:
    kernel, dilations, pads = [], [], []
    for size in tap.map_sizes:
        first, count, step = lattice(size or 0, tap.sampled or 0)
        # A convolution begins at the first place of the map. What begins later is shifted by a place in the padding.
        shifted = first > 0
        kernel.append(count + shifted)
        dilations.append(step)
        pads.append(step - first if shifted else 0)
    places = float(np.prod(_counts(tap)))
    # Not a constant: it would lie in the file once for each tap.
    weights = fragment.node(
        "ConstantOfShape", shape_of(fragment, tap.size, 1, *kernel), value=np.array([1 / places], np.float32)
    )
    name = fragment.node(
        "Conv", tap.name, weights, group=tap.size, kernel_shape=kernel, dilations=dilations, strides=tap.map_sizes,
        pads=[*pads, 0, 0],
    )  # fmt: skip
    return Pooled(name, PooledForm("planes", "float32", 4, 1, 0, block_of(tap.size)))


def _channels_last(fragment: Fragment, tap: Tap, source: str) -> Pooled:
    counts = np.full((int(np.prod(_counts(tap))), tap.size), 1, np.float32)
    name = _places(fragment, tap, source, 1)
    return Pooled(name, PooledForm("samples", tap.dtype, len(tap.shape) + 1, len(counts), tap.shift), counts)


def _places(fragment: Fragment, tap: Tap, source: str, axis: int) -> str:
    """The places of a lattice; axis: the first of the map."""
    found = [lattice(size or 0, tap.sampled or 0) for size in tap.map_sizes]
    axes = range(axis, axis + len(found))
    if fragment.opset < _SLICES_WITH_STEPS:
        for each, (first, count, step) in zip(axes, found, strict=True):
            indices = fragment.constant(first + step * np.arange(count), np.int64)
            source = fragment.node("Gather", source, indices, axis=each)
        return source
    starts, ends = [first for first, _, _ in found], [first + (count - 1) * step + 1 for first, count, step in found]
    bounds: list[Sequence[int]] = [starts, ends, list(axes), [step for _, _, step in found]]
    return fragment.node("Slice", source, *(fragment.constant(values, np.int64) for values in bounds))


def _counts(tap: Tap) -> list[int]:
    return [lattice(size or 0, tap.sampled or 0)[1] for size in tap.map_sizes]
