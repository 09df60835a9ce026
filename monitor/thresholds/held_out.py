"""Which held-out frames may set a threshold, and which are left out and why."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.digests import digests_of
from ..errors import CalibrationError, warn
from ..profile import Profile

MOST_PROFILED = 0.1
"""The share of held-out frames that may have been profiled; they are left out. A larger one is no held-out set."""
_NOT_COVERED = "predicted as a class without enough trusted frames"
_BROKEN = "NaN or Inf"
_WITHOUT_ROWS = "without rows at a tap"
_PROFILED = "learned from by the profile"
_AGAIN = "the same as one before"
_CLASSES_NAMED = 5


class HeldOut(NamedTuple):
    """Held-out frames as the judge saw them.

    deviations: (n, columns) float32. predictions: (n,) int64. sure: (n,) bool, whether the network was as sure as of
    trusted frames. uncovered: (n,) int64, the class of the frame or of one of its places that is not covered, or -1.
    digests: (n,) uint64, see `digests_of`. with_rows: (n,) bool, whether there were rows at every tap, and trusted ones
    of the class. drives: (n,) int64, the drive of each frame, counted from 0 as they come; None where each counts.
    grids: (n, columns, height, width) float32, what a logic of places judges in place of the deviations.
    boxes: (n,) of `FrameBoxes`, the detections of each frame of a detector.
    """

    deviations: np.ndarray
    predictions: np.ndarray
    sure: np.ndarray
    uncovered: np.ndarray
    digests: np.ndarray
    with_rows: np.ndarray
    drives: np.ndarray | None = None
    grids: np.ndarray | None = None
    boxes: np.ndarray | None = None

    @classmethod
    def none(cls, columns: int) -> HeldOut:
        """No frames."""
        whole, sure = np.empty(0, np.int64), np.empty(0, np.bool_)
        return cls(np.empty((0, columns), np.float32), whole, sure, whole, np.empty(0, np.uint64), sure)

    @property
    def judged(self) -> np.ndarray:
        """What the logic takes."""
        return self.deviations if self.grids is None else self.grids

    def where(self, mask: np.ndarray) -> HeldOut:
        """Those of a mask (n,) bool."""
        return self._replace(**{name: part[mask] for name, part in self._asdict().items() if part is not None})


class SetAside(NamedTuple):
    """Held-out frames that set nothing.

    given: how many there were. again: those that came before in the same data; `by_reason` warns of them.
    excluded: how many others, by reason. lost: those that alarm whatever the threshold. uncovered: those of them that
    are predicted as a class that is not covered.
    """

    given: int
    again: int
    excluded: dict[str, int]
    lost: HeldOut
    uncovered: HeldOut

    def in_words(self, profile: Profile) -> str:
        """How many and why, with the classes that are not covered."""
        reasons = []
        for why, count in self.excluded.items():
            classes = f" ({self.classes(profile)})" if why == _NOT_COVERED else ""
            reasons += [f"{count:,} {why}{classes}"] if count else []
        return "; ".join(reasons)

    def classes(self, profile: Profile) -> str:
        """The classes of the frames that are not covered, the most frequent first, with their frames."""
        of, seen = self.uncovered.uncovered, self.uncovered.predictions
        counts = np.bincount(np.where(of < 0, seen, of))
        often = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        named = ", ".join(f"{profile.class_name(c)}: {counts[c]:,}" for c in often[:_CLASSES_NAMED])
        return f"{named}{', …' if len(often) > _CLASSES_NAMED else ''}"

    def by_reason(self) -> dict[str, int]:
        """How many, by reason. Warns of those that came before."""
        if not self.again:
            return self.excluded
        warn(f"{self.again} of {self.given} held-out frames were left out: {_AGAIN}", calls=2)
        return self.excluded | {_AGAIN: self.again}

    @property
    def always(self) -> dict[str, int]:
        """How many alarm whatever the threshold, by reason."""
        return {why: count for why, count in self.excluded.items() if count and why != _PROFILED}

    @property
    def todo(self) -> str:
        """What to do about them."""
        if len(self.uncovered.uncovered):
            return "profile more frames of these classes, or profile with a lower minimum_per_class"
        return "look at these frames"


def judged(profile: Profile, held_out: HeldOut) -> tuple[HeldOut, SetAside]:
    """The frames that may set a threshold, and the others. Warns of each reason to leave frames out but the last.

    Raises CalibrationError where too many were profiled.
    """
    given = len(held_out.predictions)
    fresh = _not_profiled(profile, held_out)
    held_out = held_out.where(fresh)
    again = _again(held_out)
    held_out = held_out.where(~again)
    covered = held_out.uncovered < 0
    finite = np.isfinite(held_out.deviations).all(axis=1)
    covered &= finite | (profile.trusted.per_class[held_out.predictions] > 0)  # nothing to compare with is no NaN
    empty = covered & ~finite & ~held_out.with_rows
    excluded = {_NOT_COVERED: int((~covered).sum()), _BROKEN: int((covered & ~finite & ~empty).sum())}
    excluded |= {_WITHOUT_ROWS: int(empty.sum())} if empty.any() else {}
    excluded |= {} if fresh.all() else {_PROFILED: int((~fresh).sum())}
    for reason, count in excluded.items():
        if count:
            warn(f"{count} of {given} held-out frames were left out: {reason}", calls=2)
    lost = held_out.where(~(covered & finite))
    return held_out.where(covered & finite), SetAside(given, int(again.sum()), excluded, lost, held_out.where(~covered))


def _not_profiled(profile: Profile, held_out: HeldOut) -> np.ndarray:
    """Which of the frames the profile was not learned from, (n,) bool.

    Raises CalibrationError where a larger share than `MOST_PROFILED` was.
    """
    if not len(profile.digests.values):
        warn(
            "the profile is of an older version: it cannot be told whether it was learned from some of the held-out"
            " frames",
            calls=3,
        )
    profiled, share = profile.digests.among(held_out.digests)
    if share > MOST_PROFILED:
        n = len(profiled)
        raise CalibrationError(
            f"expected held-out frames that the profile has not seen, got {round(share * n):,} of {n:,} that it was"
            " learned from; its score is low on those, and the threshold would be too low on all others: split the"
            " data before you profile, and calibrate on the other part"
        )
    return ~profiled


def _again(held_out: HeldOut) -> np.ndarray:
    """Which of the frames came before and deviated the same, (n,) bool: they tell nothing new.

    A frame that is there twice would be in both halves, that of the scales and that of the threshold. A recurrent
    network may see more in the same picture, so its deviations count too.
    """
    both = np.stack([held_out.digests, digests_of(held_out.deviations)], axis=1)
    again = np.ones(len(both), bool)
    again[np.unique(both, axis=0, return_index=True)[1]] = False
    return again


def numbered(drives: np.ndarray) -> np.ndarray:
    """The drives of frames, (n,) or (n, any), as numbers from 0 in the order in which they come: (n,) int64."""
    axis = 0 if drives.ndim > 1 else None
    _, first, number = np.unique(drives, axis=axis, return_index=True, return_inverse=True)
    place: np.ndarray = np.argsort(np.argsort(first))[number.reshape(-1)]
    return place.astype(np.int64)
