"""What was measured: a row for each way to run a model, beside the bare session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ...networks import Tap
from ...networks.cost import ratio, ratio_interval
from ...networks.selectors import OUTPUT
from .reading import bytes_of

BARE, AGAIN = "bare", "bare again"
OUTSIDE, INSIDE = "outside", "in the graph"


@dataclass(frozen=True)
class TappedSize:
    """What a monitor looks at, without the class scores. nbytes: of the tensors; None where a size is open."""

    taps: int
    neurons: int
    nbytes: int | None

    @classmethod
    def of(cls, taps: Sequence[Tap]) -> TappedSize:
        own = [tap for tap in taps if tap.kind != OUTPUT or tap.layout != "NC"]
        return cls(len(own), sum(tap.size for tap in own), bytes_of(own))


@dataclass(frozen=True)
class CostRow:
    """One way to run a model. where: ``outside`` of the graph, ``in the graph``, or "" for the bare session again.

    ratio: the median of the paired ratios to the bare session. interval: 95 %, of that median. Both are None where it
    was not measured. note: why not, or what else is to be known.
    read_ms: of one read of the tapped bytes. read_share: of the bare inference.
    """

    name: str
    where: str = ""
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    size: TappedSize | None = None
    read_ms: float | None = None
    read_share: float | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """The name among what is timed."""
        return f"{self.name}, {self.where}" if self.where else self.name


@dataclass(frozen=True)
class CostFigures:
    """What the ways to run a model cost on one machine.

    frames: of one run of the session. rounds: in each of which everything ran once. bare_ms: the median of the bare
    session. rows: the bare session again comes first.
    """

    network: str
    profile: str | None
    processor: str
    onnxruntime: str
    threads: int
    frames: int
    rounds: int
    bare_ms: float
    rows: tuple[CostRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures in JSON types."""
        return asdict(self)


def with_times(row: CostRow, times: Mapping[str, np.ndarray], reads: Mapping[int, float]) -> CostRow:
    """The row with its figures. times: by `CostRow.key`. reads: seconds of one read, by the number of bytes."""
    facts: dict[str, Any] = {}
    if row.key in times:
        facts |= {"ratio": ratio(times, row.key, BARE), "interval": ratio_interval(times, row.key, BARE)}
    nbytes = None if row.size is None else row.size.nbytes
    if nbytes is not None and nbytes in reads:
        seconds = reads[nbytes]
        facts |= {"read_ms": 1e3 * seconds, "read_share": seconds / float(np.median(times[BARE]))}
    return replace(row, **facts)
