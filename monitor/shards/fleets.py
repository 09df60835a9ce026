"""One profile of finished ones that were learned from different frames, as those of two fleets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from ..data.changes import Change
from ..data.class_order import Confusion
from ..data.digests import FrameDigests
from ..data.shared import first_alike, sharing
from ..data.spool import FrameSpool
from ..errors import MismatchError, ProfileError, warn
from ..logic import Logic
from ..profile import Profile
from .merging import Merged, add_trusted
from .sums import absorb, join_boxes

MERGED = "merged"
"""What the history of a profile says of it."""
_CALLS = 3


class Whole(NamedTuple):
    """A finished profile. name: of its file. digest: of its bytes. calibrated: whether it had a threshold."""

    name: str
    profile: Profile
    logic: Logic
    digest: str
    calibrated: bool


def merged_profiles(found: Sequence[Whole]) -> Merged:
    """The profile of all their frames; it is the same in whatever order they are given. Their thresholds are dropped.

    Warns of that, and of frames that are in several. Raises MismatchError that says what differs, ProfileError for the
    same frames twice.
    """
    wholes = sorted(found, key=lambda one: one.digest)
    first = wholes[0]
    for other in wholes[1:]:
        _refuse_other(first, other)
    _tell_of_the_same(wholes)
    if any(one.calibrated for one in wholes):
        warn("the thresholds were set for the profiles of before and are dropped; calibrate() sets another", _CALLS)
    profile = _copied(first.profile)
    for other in wholes[1:]:
        _add(profile, _copied(other.profile))
    if first.profile.trusted.probe is not None:
        warn(
            "no trusted frame is at hand, so that calibrate() cannot test whether the profile tells its own data from"
            " held-out data; parts of one profile keep some",
            _CALLS,
        )
    named = ", ".join(f"{one.name} (SHA-256 {one.digest[:12]}…)" for one in wholes)
    profile.history = (Change.made(MERGED, None, None, reason=f"of {len(wholes)} profiles: {named}"),)
    return Merged(profile, first.logic, Confusion(), "")


def _refuse_other(first: Whole, other: Whole) -> None:
    lines = first.profile.facts.differences(other.profile.facts)
    pairs = zip(_alike(first).items(), _alike(other).values(), strict=True)
    lines += [
        f"{what}: expected {mine!s:.200}, got {theirs!s:.200}" for (what, mine), theirs in pairs if mine != theirs
    ]
    if lines:
        raise MismatchError(
            f"{other.name}: expected a profile of the same network and criteria as {first.name}, got another:\n  "
            + "\n  ".join(lines)
        )


def _alike(whole: Whole) -> dict[str, Any]:
    profile, taps = whole.profile, whole.profile.facts.taps
    trusted, boxes = profile.trusted, profile.boxes
    return {
        "preprocessing": profile.facts.preprocessing,
        "taps": [tap.id for tap in taps],
        "criteria": [(taps[one.tap].id, one.criterion, one.group) for one in profile.columns],
        "criteria of boxes": None if boxes is None else (boxes.columns, boxes.matched),
        "logic": whole.logic,
        "labels": trusted.labelled,
        "trusted confidence": trusted.confidence,
        "minimum per class": trusted.minimum_per_class,
        "names of classes": profile.class_names,
    }


def _tell_of_the_same(wholes: Sequence[Whole]) -> None:
    """Warn of frames that are in several. Raises ProfileError where two hold the same ones and no others."""
    for a, b in combinations(wholes, 2):
        mine, theirs = (one.profile.digests.values for one in (a, b))
        if len(mine) and np.array_equal(mine, theirs):
            raise ProfileError(f"expected profiles of different frames, got the same ones in {a.name} and {b.name}")
        both = len(np.intersect1d(mine, theirs, assume_unique=True))
        if both:
            warn(f"{both:,} of the frames that {a.name} and {b.name} remember are in both", _CALLS + 1)


def _copied(profile: Profile) -> Profile:
    """A profile that shares no memory with another and is not finished."""
    firsts = first_alike(profile.columns)
    signatures = [one.copy() if firsts[i] == i else one for i, one in enumerate(profile.signatures)]
    trusted = replace(profile.trusted, per_class=profile.trusted.per_class.copy(), probe=None)
    return replace(
        profile,
        signatures=sharing(profile.columns, signatures),
        trusted=trusted,
        complete=False,
        spool=FrameSpool(seen=profile.spool.seen),
        digests=FrameDigests(profile.digests.values),
        boxes=None if profile.boxes is None else profile.boxes.copy(),
    )


def _add(profile: Profile, other: Profile) -> None:
    firsts = sorted(set(first_alike(profile.columns)))
    mine, theirs = ({i: one.signatures[i] for i in firsts} for one in (profile, other))
    absorb(profile.columns, mine, theirs)
    add_trusted(profile.trusted, other.trusted)
    profile.digests.merge(other.digests)
    profile.spool.seen += other.spool.seen
    if profile.boxes is not None and other.boxes is not None:
        join_boxes(profile.boxes, other.boxes)
