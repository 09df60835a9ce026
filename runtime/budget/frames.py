"""The frames by which taps are chosen: a sample in three parts, and what broken sensors make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...networks import Network
from ..evaluation.changed import of_fault
from ..evaluation.faults import FAULTS, FROZEN, random_of
from ..inputs.sources import Source

MOST = 600
LEAST = 60
_FAULTY = 100
_BATCH = 16
_NOISE = 0.5
_BLOCK = 1 / 3
_ALL = -1  # in place of a label
NOISE, ZEROS = "noise", "zeros"
"""What stands for the faults of a sensor where frames are no pictures."""


@dataclass(frozen=True)
class Sample:
    """Frames of a source in three parts: to learn, to choose taps, and to report what they detect.

    pictured: whether they are pictures, so that there are the faults of a camera.
    """

    learn: Source
    choose: Source
    report: Source
    pictured: bool

    def faults(self) -> tuple[str, ...]:
        """The names of the faults. What takes a sequence, or colours where there are none, is left out."""
        if not self.pictured:
            return NOISE, ZEROS
        gray = len(self.learn.picture(self.learn.first())) == 1
        return tuple(name for name, one in FAULTS.items() if name != FROZEN and not (gray and one.coloured))


def sampled(source: Source, most: int = MOST) -> Sample:
    """At most so many frames, spread over the source and split by their order; within each class, where it has labels.

    Classes of one or two frames are split as one.
    Frames that follow each other resemble each other, so each part is of its own stretch of them.
    Raises ValueError for fewer frames than a choice takes.
    """
    if len(source) < LEAST:
        raise ValueError(f"expected at least {LEAST} frames to choose taps by, got {len(source)}; name the taps")
    rows = np.unique(np.linspace(0, len(source) - 1, min(most, len(source))).round().astype(np.int64))
    labels = np.full(len(rows), _ALL)
    if source.labels is not None and source.labels.ndim == 1:
        labels = source.labels[rows]
        values, counts = np.unique(labels, return_counts=True)
        labels = np.where(np.isin(labels, values[counts < 3]), _ALL, labels)
    part = np.empty(len(rows), np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        part[own] = np.arange(len(own)) * 3 // len(own)
    learn, choose, report = (rows_of(source, rows[part == i]) for i in range(3))
    return Sample(learn, choose, report, source.deep or not source.ready)


def rows_of(source: Source, rows: np.ndarray) -> Source:
    """The frames of a source with these numbers, without labels and drives."""
    stored = source.raw
    return replace(
        source,
        read=lambda index: source.read(rows[index]),
        raw=None if stored is None else lambda index: stored(rows[index]),
        names=[source.names[row] for row in rows],
        labels=None,
        starts=(),
        drives=None,
        problems=None if source.problems is None else {},
    )


def batches(source: Source, network: Network) -> Iterator[np.ndarray]:
    """The frames as the network takes them, (n, *sample shape) each."""
    for _, batch in source.rows(network.preprocessing, _BATCH, network.inputs):
        yield batch


def faulty_batches(source: Source, fault: str, network: Network, *, pictured: bool) -> Iterator[np.ndarray]:
    """The same with a fault, of at most 100 frames spread over the part.

    A picture has it before it is preprocessed. Other frames get noise of half the spread of a frame, or zeros in a
    block of a third of each axis.
    """
    few = np.unique(np.linspace(0, len(source) - 1, min(_FAULTY, len(source))).round().astype(np.int64))
    part = rows_of(source, few)
    if pictured:
        preprocessing = network.preprocessing
        changed = of_fault(part, fault, white=None if preprocessing is None else preprocessing.white)
        if isinstance(changed, Source):  # as what it is made of is one
            yield from (batch for _, batch in changed.rows(preprocessing, _BATCH, network.inputs))
        return
    done = 0
    for batch in batches(part, network):
        yield np.stack([broken(frame, fault, done + i) for i, frame in enumerate(batch)])
        done += len(batch)


def broken(frame: np.ndarray, fault: str, number: int) -> np.ndarray:
    """A frame that is no picture with `NOISE` or `ZEROS`, in its own type; the number of the frame draws the same."""
    rng = random_of(fault, number, 0)
    if fault == ZEROS:
        made = frame.copy()
        made[tuple(_stretch(size, rng) for size in frame.shape)] = 0
        return made
    noisy = frame + rng.standard_normal(frame.shape) * (_NOISE * max(float(frame.std()), 1e-6))
    if frame.dtype.kind in "iu":
        noisy = np.clip(np.rint(noisy), frame.min(), frame.max())
    return noisy.astype(frame.dtype)


def _stretch(size: int, rng: np.random.Generator) -> slice:
    length = max(int(size * _BLOCK), 1)
    start = int(rng.integers(0, size - length + 1))
    return slice(start, start + length)
