"""Nodes that turn tapped tensors into neurons inside the graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..neurons import FIRST, HEADS, grid_windows
from ..tap import Tap
from .half_precision import may_round
from .proto import Fragment
from .reading.moves import BEHIND_CONV

_FLOAT = 1  # TensorProto.DataType
_BYTES = ("uint8", "int8")
_BLOCK = 8  # channels in a block of ONNX Runtime's own layout with AVX2; with AVX-512 it is 16
_LARGE, _LEAST_IN_WINDOW = 48 * 48, 8  # places
_CEIL_MODE = 10  # the operator set of windows that may hold fewer values than others
_LAST = {3: "NLC", 4: "NHWC", 5: "NDHWC"}


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
            f" input shape, or take operator set {_CEIL_MODE}"
        )
    name = _floats(fragment, there)
    if there.shift:
        name = fragment.node("Add", name, fragment.constant(there.shift, np.float32))
    return fragment.node("Reshape", name, _shape(fragment, -1, tap.size))


def add_places(fragment: Fragment, tap: Tap) -> Tap | None:
    """Add what makes places of a tapped map; the tap, with neurons ``pixel``, on the tensor whose places they are.

    That has its channels last, so that what is read of it lies side by side. Means over windows are float32. None
    where the graph cannot make them: windows of an open size need operator set 10.
    """
    window, first, rank = tap.window or 1, tap.layout in FIRST, len(tap.shape) + 1
    there = tap
    if window > 1:
        if None in tap.shape and fragment.opset < _CEIL_MODE:
            return None
        source = _channels_first(fragment, tap, _floats(fragment, tap))
        options: dict[str, Any] = {"ceil_mode": 1}
        if None not in tap.shape:
            options = {"pads": [0] * (rank - 2) + [-(size or 0) % window for size in tap.map_sizes]}
        kernel = [window] * (rank - 2)
        name = fragment.node("AveragePool", source, kernel_shape=kernel, strides=kernel, count_include_pad=0, **options)
        if tap.shift:
            name = fragment.node("Add", name, fragment.constant(tap.shift, np.float32))
        there, first = replace(tap, name=name, dtype="float32"), True
    name = fragment.node("Transpose", there.name, perm=(0, *range(2, rank), 1)) if first else there.name
    channels = tap.shape[0 if tap.layout in FIRST else -1]
    shape = (*(tap.place_sizes or ()), channels)
    return replace(there, name=name, shape=shape, layout=_LAST[rank], neurons="pixel")


def join_neurons(fragment: Fragment, taps: Sequence[Tap]) -> tuple[str, list[slice]]:
    """Add what turns tapped tensors into neurons; the name of one (batch, sum of sizes) float32 tensor, and the columns
    of each tap in it. All have as many rows: see `rows_alike`.

    With one tensor for all, ONNX Runtime computes each tap's part right behind its layer, while that is in the cache,
    and brings one small tensor out of its own layouts instead of one a tap. It follows a graph from the last output
    back and takes the node that was made last first. Nodes for early layers are therefore made last, except those that
    it makes anew in its own order.
    """
    made_anew = [index for index, tap in enumerate(taps) if _is_made_anew(tap)]
    as_written = [index for index in reversed(range(len(taps))) if index not in set(made_anew)]
    groups: dict[_Group, list[tuple[int, _Part]]] = {}
    for index in (*as_written, *made_anew):
        part = _part(fragment, taps[index])
        groups.setdefault(part.group, []).append((index, part))
    joined, columns, start = [], {}, 0
    for group, members in sorted(groups.items(), key=lambda item: -min(index for index, _ in item[1])):
        tensor = _join(fragment, group, [part for _, part in members])
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


def _is_made_anew(tap: Tap) -> bool:
    """Whether ONNX Runtime replaces the pooling of a tap by one in a layout of its own."""
    if tap.layout not in FIRST or tap.neurons == "unit":
        return False
    if tap.dtype in _BYTES and None not in tap.shape:
        return tap.neurons == "channel-max"
    return not tap.neurons.startswith("grid") or None not in _grid_windows(tap)


class _Group(NamedTuple):
    """What parts have in common that can be joined.

    form: ``planes`` (batch, channels, ...) or ``rows`` (batch, cells, channels). dtype, rank: of the tensor. cells: of
    a channel. shift: what is added to codes. blocks: whether the channels fill blocks of ONNX Runtime's own layout; a
    tensor where they do not would bring all others out of it.
    """

    form: str
    dtype: str
    rank: int
    cells: int
    shift: int
    blocks: bool = False


class _Part(NamedTuple):
    """Neurons of a tap, not yet flat. counts: what sums of codes are divided by, (cells, channels) float32."""

    tensor: str
    group: _Group
    counts: np.ndarray | None = None


def _part(fragment: Fragment, tap: Tap) -> _Part:
    if tap.of_places:
        raise ValueError(f"tap {tap.name!r}: expected neurons that are numbers of a frame, got {tap.neurons!r}")
    if tap.neurons == "unit":
        return _units(fragment, tap)
    if tap.layout in HEADS:
        return _heads(fragment, tap)
    still = None not in tap.shape
    if tap.dtype in _BYTES and still:
        if tap.neurons != "channel-max":
            return _sums_of_codes(fragment, tap)
        if fragment.opset >= 12:
            return _highest_codes(fragment, tap)
    source = _floats(fragment, tap)
    # Not behind a cast: ONNX Runtime 1.31 crashes on a transpose, a cast and a product in a row.
    if tap.layout in ("NLC", "NHWC", "NDHWC") and still and tap.neurons != "channel-max" and source == tap.name:
        flat, averages = _flat(fragment, tap, source), _averages(tap)
        name = fragment.node("MatMul", fragment.constant(averages), flat)
        return _Part(name, _Group("rows", "float32", 3, len(averages), tap.shift))
    return _maps(fragment, tap, source)


def _floats(fragment: Fragment, tap: Tap) -> str:
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
    return fragment.node("Cast", source, to=_FLOAT)


def _units(fragment: Fragment, tap: Tap) -> _Part:
    name = _floats(fragment, tap)
    if tap.layout == "NHLC":
        name = fragment.node("Reshape", name, _shape(fragment, -1, tap.size))
    elif tap.layout != "NC":
        name = fragment.node("Flatten", name, axis=1)
    return _Part(name, _Group("planes", "float32", 2, 1, tap.shift))


def _maps(fragment: Fragment, tap: Tap, source: str) -> _Part:
    """Pooling as convolutional networks have it, which ONNX Runtime does in its own layouts."""
    source, rank = _channels_first(fragment, tap, source), len(tap.shape) + 1
    sizes, cells = tap.map_sizes, 1
    if tap.neurons.startswith("grid"):
        cells = tap.grid ** len(sizes)
        windows = _grid_windows(tap)
        if None not in windows:
            kernel, strides = zip(*(window for window in windows if window), strict=True)
            name = fragment.node("AveragePool", source, kernel_shape=kernel, strides=strides)
        elif None not in sizes:
            flat = source
            if rank > 3:
                flat = fragment.node("Reshape", source, _shape(fragment, -1, tap.size // cells, _product(sizes)))
            name, rank = fragment.node("MatMul", flat, fragment.constant(_averages(tap).T)), 3
        else:
            name = _open_grid(fragment, source, rank, tap.grid)
    elif set(sizes) == {1}:
        name = source
    else:
        if first := _first_windows(tap):
            source = fragment.node("AveragePool", source, kernel_shape=first, strides=first)
        name = fragment.node("GlobalMaxPool" if tap.neurons == "channel-max" else "GlobalAveragePool", source)
    channels = tap.size // cells
    return _Part(name, _Group("planes", "float32", rank, cells, tap.shift, channels % _BLOCK == 0))


def _first_windows(tap: Tap) -> list[int] | None:
    """Windows of about 16 x 4 places to take means of before that of a map, None where it is taken at once.

    ONNX Runtime sums the places of a whole map one after the other, but six windows at a time. Where the map is large
    and in the blocked layout, windows take half the time.
    """
    blocked = tap.layout == "NCHW" and tap.dtype == "float32" and tap.kind in BEHIND_CONV and tap.size % _BLOCK == 0
    if tap.neurons != "channel" or not blocked or _product(tap.map_sizes) < _LARGE:
        return None
    windows = [_divisor(size or 0, largest) for size, largest in zip(tap.map_sizes, (16, 4), strict=True)]
    return windows if math.prod(windows) >= _LEAST_IN_WINDOW else None


def _divisor(size: int, largest: int) -> int:
    """The largest divisor up to a limit."""
    return next(divisor for divisor in range(min(largest, size), 0, -1) if size % divisor == 0)


def _open_grid(fragment: Fragment, source: str, rank: int, k: int) -> str:
    """K means an axis, over windows that are worked out in the graph from the size it turns out to have."""
    shape = fragment.node("Shape", source)
    for axis in range(rank - 1, 1, -1):
        n = fragment.node("Gather", shape, fragment.constant([axis], np.int64))
        ones = fragment.node("ConstantOfShape", n, value=np.ones(1, np.float32))
        places = fragment.node("NonZero", ones)
        first = fragment.constant(np.arange(k)[:, None], np.int64)
        start = fragment.node("Div", fragment.node("Mul", first, n), fragment.constant([k], np.int64))
        beyond = fragment.node("Mul", fragment.constant(np.arange(k)[:, None] + 1, np.int64), n)
        beyond = fragment.node("Add", beyond, fragment.constant([k - 1], np.int64))
        end = fragment.node("Div", beyond, fragment.constant([k], np.int64))
        before = fragment.node("Less", places, end)
        within = fragment.node("And", before, fragment.node("Not", fragment.node("Less", places, start)))
        counts = fragment.node("Cast", fragment.node("Sub", end, start), to=_FLOAT)
        averages = fragment.node("Div", fragment.node("Cast", within, to=_FLOAT), counts)
        if axis == rank - 1:
            source = fragment.node("MatMul", source, fragment.node("Transpose", averages, perm=(1, 0)))
        elif axis == rank - 2:
            source = fragment.node("MatMul", averages, source)
        else:
            swap = [*range(rank)]
            swap[axis], swap[-2] = rank - 2, axis
            source = fragment.node("MatMul", averages, fragment.node("Transpose", source, perm=swap))
            source = fragment.node("Transpose", source, perm=swap)
    return source


def _heads(fragment: Fragment, tap: Tap) -> _Part:
    """Neurons of attention heads, (batch, heads) or (batch, heads, channels)."""
    source = _floats(fragment, tap)
    if tap.shift:
        source = fragment.node("Add", source, fragment.constant(tap.shift, np.float32))
    tokens = 2 if tap.layout == "NHLC" else 1
    sizes: tuple[int | None, ...] = (-1, *tap.shape)
    if None in tap.shape:
        sizes = (0, -1, *tap.shape[1:]) if tokens == 1 else (0, tap.shape[0], -1, tap.shape[2])
    source = fragment.node("Reshape", source, _shape(fragment, *sizes))
    if tap.neurons == "head":
        square = fragment.node("Mul", source, source)
        name = fragment.node("Sqrt", _reduced(fragment, "ReduceMean", square, (tokens, 3)))
    else:
        name = _reduced(fragment, "ReduceMean" if tap.neurons == "channel" else "ReduceMax", source, (tokens,))
        name = fragment.node("Flatten", name, axis=1)
    return _Part(name, _Group("planes", "float32", 2, 1, 0))


def _sums_of_codes(fragment: Fragment, tap: Tap) -> _Part:
    """Exact sums of 8-bit codes over windows, from an integer product with a matrix of ones.

    The channels are put last, where ONNX Runtime has them in quantised convolutions.
    """
    source, channels = tap.name, tap.shape[0 if tap.layout in FIRST else -1]
    if tap.layout in FIRST:
        source = fragment.node("Transpose", source, perm=(0, *range(2, len(tap.shape) + 1), 1))
    source = _flat(fragment, tap, source)
    ones = (_averages(tap) > 0).astype(np.uint8)
    counts = np.repeat(ones.sum(1, dtype=np.float32)[:, None], channels or 0, axis=1)
    name = fragment.node("MatMulInteger", fragment.constant(ones), source)
    return _Part(name, _Group("rows", "int32", 3, len(ones), tap.shift), counts)


def _highest_codes(fragment: Fragment, tap: Tap) -> _Part:
    name = fragment.node("MaxPool", _channels_first(fragment, tap, tap.name), kernel_shape=tap.map_sizes)
    return _Part(name, _Group("planes", tap.dtype, len(tap.shape) + 1, 1, tap.shift))


def _channels_first(fragment: Fragment, tap: Tap, source: str) -> str:
    last = len(tap.shape)
    return source if tap.layout in FIRST else fragment.node("Transpose", source, perm=(0, last, *range(1, last)))


def _flat(fragment: Fragment, tap: Tap, source: str) -> str:
    """A map whose channels are last as (batch, places, channels)."""
    if len(tap.shape) == 2:
        return source
    channels = tap.shape[0 if tap.layout in FIRST else -1]
    return fragment.node("Reshape", source, _shape(fragment, -1, _product(tap.map_sizes), channels))


def _join(fragment: Fragment, group: _Group, parts: Sequence[_Part]) -> str:
    """Parts of one group as a (batch, sum of sizes) float32 tensor, channel by channel."""
    names = [part.tensor for part in parts]
    rows = group.form == "rows"
    name = names[0] if len(names) == 1 else fragment.node("Concat", *names, axis=2 if rows else 1)
    if group.dtype == "int32":
        counts = np.concatenate([part.counts for part in parts if part.counts is not None], axis=1)
        if group.shift:
            name = fragment.node("Add", name, fragment.constant(counts * group.shift, np.int32))
        name = fragment.node("Div", fragment.node("Cast", name, to=_FLOAT), fragment.constant(counts))
    else:
        name = name if group.dtype == "float32" else fragment.node("Cast", name, to=_FLOAT)
        if group.shift:
            name = fragment.node("Add", name, fragment.constant(group.shift, np.float32))
    if rows and group.cells > 1:
        name = fragment.node("Transpose", name, perm=(0, 2, 1))
    return fragment.node("Flatten", name, axis=1) if group.rank > 2 else name


def _reduced(fragment: Fragment, op: str, source: str, axes: Sequence[int]) -> str:
    """A reduction, whose axes became an input with opset 18."""
    if fragment.opset >= 18:
        return fragment.node(op, source, fragment.constant(axes, np.int64), keepdims=0)
    return fragment.node(op, source, axes=tuple(axes), keepdims=0)


def _shape(fragment: Fragment, *sizes: int | None) -> str:
    return fragment.constant(sizes, np.int64)


def _product(sizes: Sequence[int | None]) -> int:
    """0 where one is open."""
    return math.prod(size or 0 for size in sizes)


def _averages(tap: Tap) -> np.ndarray:
    """(cells, places) float32: row i averages the i-th window of a map whose places are counted row by row."""
    k = tap.grid if tap.neurons.startswith("grid") else 1
    matrix = np.ones((1, 1), np.float32)
    for size in tap.map_sizes:
        places = np.arange(size or 0)
        rows = [((start <= places) & (places < end)) / (end - start) for start, end in grid_windows(len(places), k)]
        matrix = np.kron(matrix, np.array(rows, np.float32))
    return matrix


def _grid_windows(tap: Tap) -> list[tuple[int, int] | None]:
    """(size, stride) of the adaptive windows of each axis, None where they differ or the axis is open."""
    return [None if size is None else _uniform(size, tap.grid) for size in tap.map_sizes]


def _uniform(n: int, k: int) -> tuple[int, int] | None:
    windows = grid_windows(n, k)
    size, stride = windows[0][1], windows[1][0] if k > 1 else n
    alike = stride and windows == [(i * stride, i * stride + size) for i in range(k)]
    return (size, stride) if alike else None
