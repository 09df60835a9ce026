"""Neurons of all taps as one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...neurons import FIRST, HEADS
from ...tap import Tap
from ..proto import Fragment
from .codes import highest_codes, sums_of_codes
from .grids import averages, windows_of_grid
from .heads import pooled_heads
from .maps import pooled_maps
from .parts import BYTES, Pooled, PooledForm, flat, floats, join, shape_of
from .places import CEIL_MODE, add_places
from .sampled import sampled_maps


def add_neurons(fragment: Fragment, tap: Tap) -> str:
    """Add what turns a tapped tensor into its neurons; the name of a (batch * rows, tap.size) float32 tensor.

    The numbers are those of `reduce_to_neurons`, to within rounding; units of quantised tensors are codes as float32.
    Neurons of places are (batch * rows * places, tap.size). Raises ValueError where the graph cannot make these: see
    `add_places`.
    """
    if not tap.of_places:
        return join_neurons(fragment, [tap])[0]
    there = add_places(fragment, tap)
    if there is None:
        raise ValueError(
            f"tap {tap.id}: expected a map of known sizes with operator set {fragment.opset}, got {tap.shape}; fix the"
            f" input shape, or take operator set {CEIL_MODE}"
        )
    name = floats(fragment, there)
    if there.shift:
        name = fragment.node("Add", name, fragment.constant(there.shift, np.float32))
    return fragment.node("Reshape", name, shape_of(fragment, -1, tap.size))


def join_neurons(fragment: Fragment, taps: Sequence[Tap]) -> tuple[str, list[slice]]:
    """Add what turns tapped tensors into neurons; the name of one (batch, sum of sizes) float32 tensor, and the columns
    of each tap in it. All have as many rows: see `rows_alike`.

    With one tensor for all, ONNX Runtime computes each tap's part right behind its layer, while that is in the cache,
    and brings one small tensor out of its own layouts instead of one a tap. It follows a graph from the last output
    back and takes the node that was made last first. Nodes for early layers are therefore made last, except those that
    it makes anew in its own order.
    """
    made_anew = [index for index, tap in enumerate(taps) if _is_made_anew(fragment, tap)]
    as_written = [index for index in reversed(range(len(taps))) if index not in set(made_anew)]
    groups: dict[PooledForm, list[tuple[int, Pooled]]] = {}
    for index in (*as_written, *made_anew):
        part = _part(fragment, taps[index])
        groups.setdefault(part.group, []).append((index, part))
    joined, columns, start = [], {}, 0
    for group, members in sorted(groups.items(), key=lambda item: -min(index for index, _ in item[1])):
        tensor = join(fragment, group, [part for _, part in members])
        if tensor == taps[members[0][0]].name and len(groups) > 1:
            # Of the model itself: where ONNX Runtime makes anew what it comes from, it would be followed back first.
            tensor = fragment.node("Flatten", tensor, axis=1)
        joined.append(tensor)
        for index, _ in members:
            columns[index] = slice(start, start + taps[index].size)
            start += taps[index].size
    name = joined[0] if len(joined) == 1 else fragment.node("Concat", *joined, axis=1)
    return name, [columns[index] for index in range(len(taps))]


def rows_alike(taps: Sequence[Tap]) -> list[list[Tap]]:
    """Taps that can leave as one tensor, group by group; one whose rows vary goes alone, as no other has as many."""
    groups: dict[object, list[Tap]] = {}
    for tap in taps:
        groups.setdefault(tap.id if tap.rows is None else tap.rows, []).append(tap)
    return list(groups.values())


def _is_made_anew(fragment: Fragment, tap: Tap) -> bool:
    """Whether ONNX Runtime replaces the pooling of a tap by one in a layout of its own."""
    if tap.layout not in FIRST or tap.neurons == "unit":
        return False
    if tap.sampled:
        return tap.name in fragment.convolved and tap.dtype == "float32"
    if tap.dtype in BYTES and None not in tap.shape:
        return tap.neurons == "channel-max"
    return not tap.neurons.startswith("grid") or None not in windows_of_grid(tap)


def _part(fragment: Fragment, tap: Tap) -> Pooled:
    if tap.of_places:
        raise ValueError(f"tap {tap.name!r}: expected neurons that are numbers of a frame, got {tap.neurons!r}")
    if tap.neurons == "unit":
        return _units(fragment, tap)
    if tap.layout in HEADS:
        return pooled_heads(fragment, tap)
    if tap.sampled:
        if max(size or 0 for size in tap.map_sizes) > tap.sampled:
            return sampled_maps(fragment, tap)
        tap = replace(tap, neurons="channel")  # these are all places
    still = None not in tap.shape
    if tap.dtype in BYTES and still:
        if tap.neurons != "channel-max":
            return sums_of_codes(fragment, tap)
        if fragment.opset >= 12:
            return highest_codes(fragment, tap)
    source = floats(fragment, tap)
    # Not behind a cast: ONNX Runtime 1.31 crashes on a transpose, a cast and a product in a row.
    if tap.layout in ("NLC", "NHWC", "NDHWC") and still and tap.neurons != "channel-max" and source == tap.name:
        means = averages(tap)
        name = fragment.node("MatMul", fragment.constant(means), flat(fragment, tap, source))
        return Pooled(name, PooledForm("rows", "float32", 3, len(means), tap.shift))
    return pooled_maps(fragment, tap, source)


def _units(fragment: Fragment, tap: Tap) -> Pooled:
    name = floats(fragment, tap)
    if tap.layout == "NHLC":
        name = fragment.node("Reshape", name, shape_of(fragment, -1, tap.size))
    elif tap.layout != "NC":
        name = fragment.node("Flatten", name, axis=1)
    return Pooled(name, PooledForm("planes", "float32", 2, 1, tap.shift))
