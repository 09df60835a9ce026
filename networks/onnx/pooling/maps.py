"""Pooling of maps as convolutional networks have it, which ONNX Runtime does in its own layouts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...tap import Tap
from ..proto import Fragment
from .grids import averages, windows_of_grid
from .parts import FLOAT, Pooled, PooledForm, block_of, channels_first, product, shape_of

_LARGE, _LEAST_IN_WINDOW = 48 * 48, 8  # places
_BLOCK = 16  # channels, the most that ONNX Runtime has


def pooled_maps(fragment: Fragment, tap: Tap, source: str) -> Pooled:
    """Pooling as convolutional networks have it, which ONNX Runtime does in its own layouts."""
    source, rank = channels_first(fragment, tap, source), len(tap.shape) + 1
    sizes, cells = tap.map_sizes, 1
    if tap.neurons.startswith("grid"):
        cells = tap.grid ** len(sizes)
        windows = windows_of_grid(tap)
        if None not in windows:
            kernel, strides = zip(*(window for window in windows if window), strict=True)
            name = _window_means(fragment, tap, source, kernel, strides)
        elif None not in sizes:
            flat = source
            if rank > 3:
                flat = fragment.node("Reshape", source, shape_of(fragment, -1, tap.size // cells, product(sizes)))
            name, rank = fragment.node("MatMul", flat, fragment.constant(averages(tap).T)), 3
        else:
            name = _open_grid(fragment, source, rank, tap.grid)
    elif set(sizes) == {1}:
        name = source
    else:
        if first := _first_windows(fragment, tap):
            source = _window_means(fragment, tap, source, first, first)
        name = fragment.node("GlobalMaxPool" if tap.neurons == "channel-max" else "GlobalAveragePool", source)
    channels = tap.size // cells
    return Pooled(name, PooledForm("planes", "float32", rank, cells, tap.shift, block_of(channels)))


def _window_means(fragment: Fragment, tap: Tap, source: str, kernel: Sequence[int], strides: Sequence[int]) -> str:
    """The means over windows.

    ONNX Runtime pools in its blocks where the channels fill them, but convolves there in any case. Channels that do not
    fill 16 would have the whole map laid out anew, so a convolution of each by itself takes their means.
    """
    channels = tap.shape[0] or 0
    if not _is_in_blocks(fragment, tap) or channels % _BLOCK == 0:
        return fragment.node("AveragePool", source, kernel_shape=kernel, strides=strides)
    weights = fragment.constant(np.full((channels, 1, *kernel), 1 / math.prod(kernel)), np.float32)
    return fragment.node("Conv", source, weights, group=channels, kernel_shape=kernel, strides=strides)


def _is_in_blocks(fragment: Fragment, tap: Tap) -> bool:
    return tap.layout == "NCHW" and tap.dtype == "float32" and tap.name in fragment.convolved


def _first_windows(fragment: Fragment, tap: Tap) -> list[int] | None:
    """Windows to take means of before that of a map, None where it is taken at once.

    ONNX Runtime sums the places of a whole map one after the other, but six windows at a time. Where the map is large
    and in blocks, windows of about 16 x 4 places take half the time. Where its channels do not fill the blocks, windows
    keep it from being laid out anew; see `_window_means`.
    """
    if tap.neurons != "channel" or not _is_in_blocks(fragment, tap):
        return None
    filled = tap.size % _BLOCK == 0
    if product(tap.map_sizes) < (_LARGE if filled else 1):
        return None
    limits = (16, 4) if filled else (8, 8)
    windows = [_divisor(size or 0, limit) for size, limit in zip(tap.map_sizes, limits, strict=True)]
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
        counts = fragment.node("Cast", fragment.node("Sub", end, start), to=FLOAT)
        averages = fragment.node("Div", fragment.node("Cast", within, to=FLOAT), counts)
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
