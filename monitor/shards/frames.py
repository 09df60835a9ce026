"""Data that can be read from any row on, so that a worker reads its own and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ...networks.inputs import each
from ..data.arrays import as_array
from ..data.truth import are_boxes


@runtime_checkable
class Frames(Protocol):
    """Frames in an order that is the same for every worker."""

    def __len__(self) -> int: ...

    def batches(self, rows: range, size: int) -> Iterator[Any]:
        """Batches of the rows, at most `size` frames each, as `Monitor.profile` takes them."""
        ...


def frames_of(data: Any) -> Frames:
    """The frames of whatever can be read from any row on.

    data: `Frames`; an array (n, ...); a pair of an array and its labels; a mapping or a tuple of arrays of a network
    with several inputs, alone or in a pair with labels; or a dataset of samples, with a length and numbers as keys, as
    PyTorch has them. Raises TypeError for anything else, such as a generator.
    """
    if isinstance(data, Frames):
        return data
    if _is_whole(data):
        return _Whole(data)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, (str, bytes, Mapping)):
        return _Samples(data)
    raise TypeError(
        "expected data that can be read from any row on, such as an array, a pair of arrays or a dataset with a length,"
        f" got {type(data).__name__}"
    )


def _is_whole(data: Any) -> bool:
    """Whether data are arrays, one beside the other."""
    if isinstance(data, Mapping):
        return bool(data) and all(_is_whole(part) for part in data.values())
    if isinstance(data, tuple):
        return bool(data) and all(_is_whole(part) or isinstance(part, list) for part in data)
    return hasattr(data, "shape") and len(data.shape) > 0


class _Whole:
    """Whole arrays."""

    def __init__(self, data: Any) -> None:
        self._data = data
        parts = list(_leaves(data))
        if len({len(part) for part in parts}) > 1:
            raise ValueError(f"expected as many of everything, got {', '.join(str(len(part)) for part in parts)}")
        self._count = len(parts[0])

    def __len__(self) -> int:
        return self._count

    def batches(self, rows: range, size: int) -> Iterator[Any]:
        for start in range(rows.start, rows.stop, size):
            yield _cut(self._data, slice(start, min(start + size, rows.stop)))


def _leaves(data: Any) -> Iterator[Any]:
    if isinstance(data, (Mapping, tuple)):
        for part in data.values() if isinstance(data, Mapping) else data:
            yield from _leaves(part)
    else:
        yield data


def _cut(data: Any, rows: slice) -> Any:
    if isinstance(data, (Mapping, tuple)):
        return each(data, lambda part: _cut(part, rows))
    return data[rows]


class _Samples:
    """A dataset: numbers lead to samples, each alone or in a tuple with its label."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def batches(self, rows: range, size: int) -> Iterator[Any]:
        for start in range(rows.start, rows.stop, size):
            samples = [self._data[i] for i in range(start, min(start + size, rows.stop))]
            yield _stacked(samples)


def _stacked(samples: list[Any]) -> Any:
    """The samples as one batch: what each has in a place stands together."""
    first = samples[0]
    if isinstance(first, Mapping):
        return {name: _stacked([sample[name] for sample in samples]) for name in first}
    if isinstance(first, (tuple, list)):
        columns = ([sample[i] for sample in samples] for i in range(len(first)))
        return tuple(column if are_boxes(column) else _stacked(column) for column in columns)
    return np.stack([as_array(sample) for sample in samples])
