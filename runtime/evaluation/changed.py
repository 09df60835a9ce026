"""Sources whose pictures are changed as they are read, before anything else happens to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..inputs.joint import JointSource
from ..inputs.sources import Source
from .corruptions import corrupted
from .faults import FROZEN, faulty

Change = Callable[[np.ndarray, int], np.ndarray]
"""A picture and the number of its frame, and the changed picture."""


def of_fault(source: Source | JointSource, fault: str, *, white: float | None = None) -> Source | JointSource:
    """The source as a broken sensor gives it; a frozen one gives the frame before, within a drive."""
    if fault == FROZEN:
        starts = source.starts
        return _each(source, lambda part: _with_pictures(part, partial(_before, part, starts)))
    return _changed(source, lambda picture, frame: faulty(picture, fault, frame, white=white))


def of_corruption(
    source: Source | JointSource, corruption: str, severity: int, *, white: float | None = None
) -> Source | JointSource:
    """The source with a corruption in each picture."""
    return _changed(source, lambda picture, frame: corrupted(picture, corruption, severity, frame, white=white))


def _changed(source: Source | JointSource, change: Change) -> Source | JointSource:
    """The same frames, labels and drives, with other pictures; what is no picture stays. See `_with_pictures`."""

    def changed(part: Source) -> Source:
        def read(index: int) -> np.ndarray:
            return change(part.picture(index), index)

        return _with_pictures(part, read)

    return _each(source, changed)


def _each(source: Source | JointSource, changed: Callable[[Source], Source]) -> Source | JointSource:
    if isinstance(source, JointSource):
        parts = {name: changed(part) if _pictured(part) else part for name, part in source.parts.items()}
        if not any(map(_pictured, source.parts.values())):
            _refuse(source.names)
        return replace(source, parts=parts, problems=_fresh(source.problems))
    if not _pictured(source):
        _refuse(source.names)
    return changed(source)


def _with_pictures(source: Source, read: Callable[[int], np.ndarray]) -> Source:
    return replace(source, read=read, raw=None, ready=False, deep=False, problems=_fresh(source.problems))


def _before(source: Source, starts: Sequence[int], index: int) -> np.ndarray:
    return source.picture(index if index == 0 or index in starts else index - 1)


def _pictured(source: Source) -> bool:
    return source.deep or not source.ready


def _fresh(problems: dict[str, str] | None) -> dict[str, str] | None:
    return None if problems is None else {}


def _refuse(names: Sequence[str]) -> None:
    raise ValueError(
        f"{names[0]}: expected pictures for corruptions and faults, which change them before preprocessing, got samples"
        " that are ready for the network; give a folder of pictures, or uint8 arrays"
    )
