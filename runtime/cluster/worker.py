"""What runs in each worker of a cluster: it holds the network and learns one logical shard at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...monitor.shards import Part
from ...networks import Network, Preprocessing
from ...networks.pictures.reading import decode_picture
from ..inputs.learned_pictures import remembering
from ..inputs.sources import as_picture, channels_first


class Worker:
    """Learns blocks of rows. make: makes the network. blank: a part that has seen nothing, as bytes.

    column, label: of the frames and of their classes.
    """

    def __init__(self, make: Callable[[], Network], blank: bytes, column: str, label: str | None) -> None:
        self._network, self._blank, self._column, self._label = make(), blank, column, label
        facts = Part.of(blank).profile.facts
        facts.prepare(self._network)

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """One logical shard, of which it does not know which: it is learned as the first one."""
        if self._column not in block:
            raise ValueError(f"expected a column {self._column!r} of frames, got {', '.join(map(str, block))}")
        part = Part.of(self._blank).first()
        preprocessing, seen = remembering(self._network)
        part.profile.trusted.pictures = seen
        rows = _Rows(block[self._column], None if self._label is None else block[self._label], preprocessing)
        part.learn(self._network, rows)
        state = np.empty(1, object)
        state[0] = bytes(part)
        return {"state": state}


class _Rows:
    """The frames of a block."""

    def __init__(self, values: Any, labels: Any, preprocessing: Preprocessing | None) -> None:
        self._values, self._labels, self._preprocessing = values, labels, preprocessing

    def __len__(self) -> int:
        return len(self._values)

    def batches(self, rows: range, size: int) -> Iterator[Any]:
        for start in range(0, len(self), size):
            some = slice(start, start + size)
            frames = np.stack([_frame(value, self._preprocessing) for value in self._values[some]])
            yield frames if self._labels is None else (frames, np.asarray(self._labels[some]))


def _frame(value: Any, preprocessing: Preprocessing | None) -> np.ndarray:
    """One frame as a network takes it: of the bytes of a picture file, a picture, or an array."""
    if isinstance(value, (bytes, memoryview)):
        value = decode_picture(bytes(value), "a row")
    elif preprocessing is None or np.asarray(value).dtype.kind == "f":
        return np.asarray(value)
    else:
        value = channels_first(np.asarray(value))
    if preprocessing is None:
        raise ValueError("expected pictures for a network with a preprocessing, got one without; give options=")
    return preprocessing(value if value.dtype == np.uint8 else as_picture(value))
