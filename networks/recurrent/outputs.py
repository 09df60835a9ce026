"""What a network returns, value by value: taken, copied, put behind each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def value(output: Any, place: int | str) -> Any:
    """One value of an output: by its index, or by its key or attribute."""
    if isinstance(output, Mapping):
        if isinstance(place, int):
            place = list(output)[place] if place < len(output) else str(place)
        if place in output:
            return output[place]
        raise ValueError(f"expected an output {place!r}, got {', '.join(map(str, output))}")
    if isinstance(place, str):
        if hasattr(output, place):
            return getattr(output, place)
        raise ValueError(f"expected an output called {place!r}, got outputs without names; say its index")
    values = output if isinstance(output, (tuple, list)) else (output,)
    if place >= len(values):
        raise ValueError(f"expected {place + 1} outputs or more, got {len(values)}")
    return values[place]


def form(value: Any) -> str:
    if not hasattr(value, "shape"):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def copied(value: Any) -> Any:
    """A copy that an engine's next run leaves alone."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if hasattr(value, "detach"):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [copied(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def is_batched(output: Any, bare: Any) -> bool:
    """Whether each value of an output has an axis more than the same without the batch axis."""
    if isinstance(output, Mapping):
        return all(is_batched(output[name], bare[name]) for name in output)
    if isinstance(output, (tuple, list)):
        return all(map(is_batched, output, bare))
    return bool(getattr(output, "ndim", 0) > getattr(bare, "ndim", 0))


def joined(outputs: Sequence[Any]) -> Any:
    """Outputs of one frame each behind each other along their first axis."""
    first = outputs[0]
    if isinstance(first, Mapping):
        return {name: joined([output[name] for output in outputs]) for name in first}
    if isinstance(first, (tuple, list)):
        items = [joined([output[i] for output in outputs]) for i in range(len(first))]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if isinstance(first, np.ndarray):
        return np.concatenate(outputs)
    import torch

    return torch.cat(tuple(outputs))
