"""Tensors as neurons, on the device where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..neurons import FIRST, HEADS, places_of_lattice
from ..tap import Tap

_POOLS = {3: functional.adaptive_avg_pool1d, 4: functional.adaptive_avg_pool2d, 5: functional.adaptive_avg_pool3d}
_SMALL = 4  # values
_WINDOWS = {3: torch.avg_pool1d, 4: functional.avg_pool2d, 5: functional.avg_pool3d}


def reader(tap: Tap, overwritten: bool, quantised: bool = False) -> Callable[[Tensor], Tensor]:
    """What makes neurons, (batch * rows, tap.size), of the tensor of a tap; every place of a map is a row.

    overwritten: whether a later operation overwrites the tensor. What is read as it is is then a copy. quantised:
    whether the tensor is. Neurons are then the numbers that its codes stand for.
    """
    if quantised:
        numbers = reader(tap, overwritten=False)
        return lambda value: numbers(value.dequantize())
    if tap.neurons in ("unit", "pixel"):
        rows = partial(_pixels, tap.size, tap.layout in FIRST) if tap.neurons == "pixel" else partial(_flat, 1)
        return (lambda value: rows(value).clone()) if overwritten else rows
    pooled = _windows(tap) if tap.of_places else _pooling(tap)
    return pooled if tap.dtype == "float32" else lambda value: pooled(value.float())


def _pooling(tap: Tap) -> Callable[[Tensor], Tensor]:
    if tap.layout in HEADS:
        tokens = 2 if tap.layout == "NHLC" else 1
        if tap.neurons == "head":
            return lambda value: value.square().mean((tokens, 3)).sqrt()
        if tap.neurons == "channel":
            return lambda value: value.mean(tokens).flatten(1)
        return lambda value: value.amax(tokens).flatten(1)
    rank = len(tap.shape) + 1
    axes = tuple(range(2, rank)) if tap.layout in FIRST else tuple(range(1, rank - 1))
    if tap.neurons == "channel":
        return lambda value: torch.mean(value, axes)
    if tap.sampled:
        sizes = [size or 0 for size in tap.map_sizes]
        places = (slice(None),) * axes[0] + places_of_lattice(sizes, tap.sampled)
        return lambda value: torch.mean(value[places], axes)
    if tap.neurons == "channel-max":
        return lambda value: torch.amax(value, axes)
    pool, grid, last = _POOLS[rank], tap.grid, tap.layout not in FIRST
    return lambda value: pool(value.movedim(-1, 1) if last else value, grid).flatten(1)


def _windows(tap: Tap) -> Callable[[Tensor], Tensor]:
    """The means over the windows of places.

    Small windows are read with the channels last in memory, side by side. Large ones are read axis by axis, which makes
    no copy of the map.
    """
    pool, window, first = _WINDOWS[len(tap.shape) + 1], tap.window or 1, tap.layout in FIRST

    def pooled(value: Tensor) -> Tensor:
        last = value.movedim(1, -1).contiguous() if first else value
        kernel = [min(window, size) for size in last.shape[1:-1]]
        places = pool(last.movedim(-1, 1), kernel, window, ceil_mode=True, count_include_pad=False)
        return places.movedim(1, -1).reshape(-1, tap.size)

    def by_axis(value: Tensor) -> Tensor:
        for axis in range(2, value.ndim):
            value = _means_along(value, axis, window)
        return value.movedim(1, -1).reshape(-1, tap.size)

    return by_axis if first and window > _SMALL else pooled


def _means_along(value: Tensor, axis: int, window: int) -> Tensor:
    size = value.shape[axis]
    whole = size // window * window
    parts = []
    if whole:
        parts.append(value.narrow(axis, 0, whole).unflatten(axis, (-1, window)).mean(axis + 1))
    if whole < size:
        parts.append(value.narrow(axis, whole, size - whole).mean(axis, keepdim=True))
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


def _flat(axis: int, value: Tensor) -> Tensor:
    return value.flatten(axis)


def _pixels(size: int, first: bool, value: Tensor) -> Tensor:
    return (value.movedim(1, -1) if first else value).reshape(-1, size)


def as_arrays(values: Sequence[Tensor]) -> list[np.ndarray]:
    """Tensors as C-contiguous float32 arrays; what lies on an accelerator crosses to the CPU in one piece."""
    if len(values) > 1 and not any(value.is_cpu for value in values):
        whole = torch.cat([value.reshape(-1).float() for value in values]).cpu().numpy()
        parts = np.split(whole, np.cumsum([value.numel() for value in values[:-1]]))
        return [part.reshape(tuple(value.shape)) for part, value in zip(parts, values, strict=True)]
    return [_array(value) for value in values]


def _array(value: Tensor) -> np.ndarray:
    if value.dtype is torch.float32 and value.is_cpu and value.is_contiguous():
        array: np.ndarray = value.numpy()
        return array
    return _array(value.float().contiguous().cpu())
