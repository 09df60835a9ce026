"""What a user hands over as data: whole arrays, loaders, generators, with labels or without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from ...networks import Network
from .arrays import as_array, taken

Batches = Any
"""Batches or one whole array, as `batches_of` takes them."""
Batch = tuple[Any, "np.ndarray | None"]

_ROWS = 64
"""Frames at a time of a whole array."""


def batches_of(data: Batches, network: Network) -> Iterator[Batch]:
    """(frames, labels or None) of each batch in whatever a user has.

    data: batches from any iterable, a ``DataLoader`` or a generator; or one array or tensor (n, *input_shape), alone or
    in a pair with labels (n,), which is cut into batches. A batch is such an array or tensor, or a tuple or list of it
    and, where there are any, its labels. A network that was not told the shape of its input learns it from the first.
    Raises TypeError or ValueError for anything else.
    """
    if isinstance(data, (str, bytes, Mapping)) or not any(hasattr(data, name) for name in ("__iter__", "__getitem__")):
        raise TypeError(f"expected batches (n, ...), a DataLoader or one array, got {type(data).__name__}")
    for frames, labels in _cut(data, network):
        if not network.shaped:
            network.learn_shape(frames)
        expected = len(network.input_shape) + 1
        if len(frames.shape) != expected:
            one = "; frames[None] makes a batch of one" if len(frames.shape) == expected - 1 else ""
            raise ValueError(
                f"expected batches of shape {('n', *network.input_shape)}, got one of shape {tuple(frames.shape)}{one}"
            )
        yield taken(frames, network), labels


def _cut(data: Any, network: Network) -> Iterator[Batch]:
    whole, labels = (data, None) if hasattr(data, "shape") else _whole_pair(data)
    if whole is None:
        yield from map(_frames_and_labels, data)
    elif network.shaped and len(whole.shape) == len(network.input_shape) + 2:
        yield from ((batch, None) for batch in whole)
    else:
        for start in range(0, len(whole), _ROWS):
            rows = slice(start, start + _ROWS)
            yield whole[rows], None if labels is None else labels[rows]


def _whole_pair(data: Any) -> tuple[Any, np.ndarray | None]:
    """The frames and labels of a pair of whole arrays, whose labels have fewer axes; (None, None) for batches."""
    if not isinstance(data, (tuple, list)) or len(data) != 2 or not all(hasattr(part, "shape") for part in data):
        return None, None
    frames, labels = data
    if len(frames.shape) <= len(labels.shape):
        return None, None
    if len(frames) != len(labels):
        raise ValueError(f"expected a label per frame, got {len(frames)} frames and {len(labels)} labels")
    return frames, _labels(labels)


def _frames_and_labels(batch: Any) -> Batch:
    if not isinstance(batch, (tuple, list)):
        frames, labels = batch, None
    elif len(batch) in (1, 2):
        frames, labels = batch[0], batch[1] if len(batch) == 2 else None
    else:
        raise ValueError(f"expected a batch as frames, (frames,) or (frames, labels), got {len(batch)} parts")
    if not hasattr(frames, "shape"):
        raise TypeError(f"expected frames as an array or a tensor, got {type(frames).__name__}")
    return frames, None if labels is None else _labels(labels)


def _labels(labels: Any) -> np.ndarray:
    return np.asarray(as_array(labels))


def behind(batches: Iterator[Batch], skip: int) -> Iterator[Batch]:
    """The batches behind the first `skip` frames."""
    for frames, labels in batches:
        passed = min(skip, len(frames))
        skip -= passed
        if passed < len(frames):
            yield frames[passed:], None if labels is None else labels[passed:]


def peeked(batches: Iterator[Batch]) -> Iterator[Batch] | None:
    """The same batches, the first of them read already: a network has then learned its shape. None for no batches."""
    first = next(batches, None)
    return None if first is None else chain([first], batches)


def check_labels(labels: np.ndarray, n: int, classes: int | None, map_classes: int | None) -> None:
    """Raise ValueError unless labels are integers for n frames, or for the places of n maps, within the classes."""
    if map_classes:
        if labels.ndim != 3 or len(labels) != n:
            raise ValueError(f"expected labels of shape ({n}, height, width), got {labels.shape}")
    elif labels.shape != (n,):
        hint = "; labels of places need a network with classes='pixel'" if labels.ndim == 3 else ""
        raise ValueError(f"expected a label per frame, shape ({n},), got {labels.shape}{hint}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"expected labels as integers, the numbers of classes, got {labels.dtype}")
    if classes and labels.size and labels.max() >= classes:
        raise ValueError(f"expected labels below {classes}, the number of classes, got {labels.max()}")
