"""What of a profile depends on the order in which it is joined: sums of floats, of columns and of detections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...coverage import Criterion, Signature
from ..boxes.learned import LearnedBoxes, fresh_boxes, grown
from ..data.shared import first_alike, sharing
from ..errors import ProfileError
from ..profile import Column, Profile

_STEP, _ROOM = 0x9E3779B97F4A7C15, 2**64 - 1


@dataclass
class Sums:
    """Signatures by their column, of those that are summed; of columns that share one, by the first.

    boxes: what was learned of detections, where there are any.
    """

    signatures: dict[int, Signature]
    boxes: LearnedBoxes | None = None

    @classmethod
    def fresh(cls, profile: Profile) -> Sums:
        """What has seen nothing, of the columns of a profile."""
        signatures = {i: empty_of(profile, i) for i in summed(profile.columns)}
        if profile.boxes is None:
            return cls(signatures)
        columns = profile.boxes.columns
        return cls(signatures, fresh_boxes(profile.facts, {one.tap for one in columns}, columns[0].criterion))

    def within(self, profile: Profile) -> Profile:
        """The profile with these in their places, so that what is learned into it is learned into them.

        All else is the profile's own, and is learned into that.
        """
        signatures = [self.signatures.get(i, signature) for i, signature in enumerate(profile.signatures)]
        return replace(profile, signatures=sharing(profile.columns, signatures), boxes=self.boxes)


@dataclass
class Opened:
    """A logical shard that was begun. frames: how many of it were seen. digest: of these."""

    sums: Sums
    frames: int = 0
    digest: int = 0

    def saw(self, digests: np.ndarray) -> None:
        """Take in the digests of the next frames, (n,) uint64."""
        self.frames += len(digests)
        for digest in digests.tolist():
            self.digest = ((self.digest ^ digest) * _STEP + 1) & _ROOM


def summed(columns: tuple[Column, ...]) -> list[int]:
    """The columns whose signatures are summed; of those that share one, the first."""
    firsts = first_alike(columns)
    return [i for i, column in enumerate(columns) if firsts[i] == i and not column.criterion.merges_exactly]


def exact(columns: tuple[Column, ...]) -> list[int]:
    """The other columns, whose signatures have the same bits in any order; of those that share one, the first."""
    firsts = first_alike(columns)
    return [i for i, column in enumerate(columns) if firsts[i] == i and column.criterion.merges_exactly]


def empty_of(profile: Profile, i: int) -> Signature:
    """What has seen nothing, of a column."""
    tap = profile.columns[i].tap
    return profile.columns[i].criterion.empty(profile.facts.taps[tap].size, profile.facts.classes_of(tap))


def joined(columns: tuple[Column, ...], left: Sums, right: Sums) -> Sums:
    """Both, in `left`."""
    absorb(columns, left.signatures, right.signatures)
    if left.boxes is not None and right.boxes is not None:
        join_boxes(left.boxes, right.boxes)
    return left


def absorb(columns: tuple[Column, ...], into: Mapping[int, Signature], other: Mapping[int, Signature]) -> None:
    """Add signatures to those of the same columns, by their numbers."""
    for i, signature in into.items():
        columns[i].criterion.absorb(signature, other[i])


def join_boxes(into: LearnedBoxes, other: LearnedBoxes) -> None:
    """Add what was learned of detections. Raises ProfileError where true boxes decided in one alone."""
    if None not in (into.matched, other.matched) and into.matched != other.matched:
        raise ProfileError("expected true boxes in all parts or in none, got them in some")
    into.matched = other.matched if into.matched is None else into.matched
    into.frames += other.frames
    into.left_out += other.left_out
    classes = max(len(into.per_class), len(other.per_class))
    pairs = zip(into.columns, into.signatures, other.signatures, strict=True)
    into.signatures = [_joined(column.criterion, mine, theirs, classes) for column, mine, theirs in pairs]


def _joined(criterion: Criterion, mine: Signature, theirs: Signature, classes: int) -> Signature:
    mine, theirs = (one if one.classes == classes else grown(criterion, one, classes) for one in (mine, theirs))
    criterion.absorb(mine, theirs)
    return mine
