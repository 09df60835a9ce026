"""How a tapped tensor becomes neurons: its units, places, or pooled by channel, grid cell or attention head."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .tap import Tap

NEURONS = re.compile(r"unit|channel|channel-max|head|pixel(?:[2-9]|[1-9][0-9]+)?|grid[1-9][0-9]*|sample[1-9][0-9]*")
MAPS = ("NLC", "NCL", "NCHW", "NHWC", "NCDHW", "NDHWC")
FIRST = ("NCL", "NCHW", "NCDHW")
"""Layouts with the channels right behind the batch."""

HEADS = ("NHLC", "NLHC")


def check_neurons(neurons: str) -> None:
    """Raise ValueError for an unknown way to become neurons."""
    if not NEURONS.fullmatch(neurons):
        raise ValueError(
            "expected neurons 'unit', 'channel', 'channel-max', 'sampleK' (sample7), 'gridK' (grid4), 'head', 'pixel'"
            f" or 'pixelK' (pixel4, K from 2), got {neurons!r}"
        )


def window_of(neurons: str) -> int | None:
    """How many values of a map along each axis make a place: K of ``pixelK``, 1 of ``pixel``; None where none do."""
    return int(neurons.removeprefix("pixel") or 1) if neurons.startswith("pixel") else None


def map_sizes(layout: str, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The sizes of a map that are pooled; none for dense tensors and attention heads."""
    if layout not in MAPS:
        return ()
    return shape[1:] if layout in FIRST else shape[:-1]


def reduce_to_neurons(tap: Tap, values: np.ndarray) -> np.ndarray:
    """A tapped tensor (rows, *tap.shape) as neurons: (rows, tap.size) float32, C-contiguous; rows may be none.

    rows: the batch, times `tap.rows`. Units of 8-bit codes stay uint8. For ``pixel`` and ``pixelK`` the places of each
    row are rows, (rows * places, tap.size), frame by frame and row by row.
    """
    if tap.dtype == "int8":
        values = np.ascontiguousarray(values).view(np.uint8) ^ np.uint8(128)
    if not (tap.neurons == "unit" and values.dtype == np.uint8):
        values = values.astype(np.float32, copy=False)
    if tap.dtype == "int16":
        values = values + np.float32(tap.shift)
    if tap.layout in HEADS:
        length = values.shape[-2 if tap.layout == "NHLC" else 1]
        values = values.reshape(-1, *(length if size is None else size for size in tap.shape))
    if tap.of_places:
        values = _window_means(tap, values)
        values = np.moveaxis(values, 1, -1) if tap.layout in FIRST else values
        return np.ascontiguousarray(values.reshape(-1, tap.size))
    if tap.neurons != "unit":
        values = _pooled(tap, values)
    return np.ascontiguousarray(values.reshape(-1, tap.size))


def fill_neurons(tap: Tap, values: np.ndarray, neurons: np.ndarray) -> list[Callable[[], object]]:
    """What writes `reduce_to_neurons` of units or places to an array that is there, one call after the other.

    Both arrays are C-contiguous and stay where they are; the calls make none, but for means over windows.
    """
    if tap.window not in (None, 1):
        return [lambda: np.copyto(neurons, reduce_to_neurons(tap, values))]
    if neurons.dtype == np.uint8:
        codes = values.view(np.uint8).reshape(neurons.shape)
        return [partial(np.bitwise_xor, codes, np.uint8(tap.shift), neurons)]
    first = tap.neurons == "pixel" and tap.layout in FIRST
    shape = (len(values), *values.shape[2:], tap.size) if first else values.shape
    target = neurons.reshape(shape)
    calls: list[Callable[[], object]] = [partial(np.copyto, np.moveaxis(target, -1, 1) if first else target, values)]
    if tap.shift:
        calls.append(partial(np.add, neurons, np.float32(tap.shift), neurons))
    return calls


def _window_means(tap: Tap, values: np.ndarray) -> np.ndarray:
    """The means of each channel over the windows of places; the last of an axis may hold fewer values."""
    if tap.window is None or tap.window == 1:
        return values
    start = 2 if tap.layout in FIRST else 1
    for axis in range(start, start + len(tap.map_sizes)):
        size = values.shape[axis]
        begins = np.arange(0, size, tap.window)
        counts = np.minimum(size - begins, tap.window).astype(np.float32)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        values = np.add.reduceat(values, begins, axis) / counts.reshape(shape)
    return values


def _pooled(tap: Tap, values: np.ndarray) -> np.ndarray:
    tokens = 2 if tap.layout == "NHLC" else 1
    if tap.neurons == "head":
        return np.sqrt(np.square(values).mean(axis=(tokens, 3)))
    if tap.layout not in (*FIRST, *HEADS):
        values = np.moveaxis(values, -1, 1)
    axes = (tokens,) if tap.layout in HEADS else tuple(range(2, values.ndim))
    if tap.sampled:
        values = values[(slice(None),) * 2 + places_of_lattice(values.shape[2:], tap.sampled)]
    if tap.neurons == "channel" or tap.sampled:
        return values.mean(axes)
    return values.max(axes) if tap.neurons == "channel-max" else _grid_means(values, tap.grid)


def _grid_means(values: np.ndarray, k: int) -> np.ndarray:
    """Adaptive average pooling of the axes from the third on."""
    for axis in range(2, values.ndim):
        windows = grid_windows(values.shape[axis], k)
        means = [values[(slice(None),) * axis + (slice(*window),)].mean(axis) for window in windows]
        values = np.stack(means, axis)
    return values


def lattice(n: int, k: int) -> tuple[int, int, int]:
    """At most k of n places along an axis, n / k apart, rounded up: the first of them, how many, and their step."""
    step = -(-n // k)
    count = -(-n // step)
    return (n - (count - 1) * step - 1) // 2, count, step


def places_of_lattice(sizes: Sequence[int], k: int) -> tuple[slice, ...]:
    """The slices of a map that take the places of a lattice along each of its axes."""
    found = (lattice(size, k) for size in sizes)
    return tuple(slice(first, first + (count - 1) * step + 1, step) for first, count, step in found)


def grid_windows(n: int, k: int) -> list[tuple[int, int]]:
    """Where each of k windows of adaptive average pooling over n values begins and ends."""
    return [(i * n // k, -((-i - 1) * n // k)) for i in range(k)]
