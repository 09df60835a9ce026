"""Samples in order, read from any row on, for a worker that reads its own rows and no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...monitor.shards.profiling import named
from ...networks import Network, Preprocessing
from .joint import JointSource
from .sources import Source


class SourceFrames:
    """The samples of a source, as `Monitor.profile_part` takes them.

    preprocessing: how pictures are read, None where they are none. network: what takes them.
    """

    def __init__(self, source: Source | JointSource, preprocessing: Preprocessing | None, network: Network) -> None:
        self._source, self._preprocessing, self._network = source, preprocessing, network

    def __len__(self) -> int:
        return len(self._source)

    def batches(self, rows: range, size: int) -> Iterator[Any]:
        """Batches of the rows, in order. A row that cannot be read is noted in the source or raises, see `Source`."""
        part = self._source[rows.start : rows.stop]
        yield from part.batches(self._preprocessing, size, self._network.inputs)


def listing_of(source: Source | JointSource, data: str) -> str:
    """A digest of the names of all samples, whichever folder the data are in on this machine."""
    return named(source.names, str(Path(data)))
