"""One profile of the parts that many workers learned, with the same bits however many there were."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from ..data.class_order import Confusion
from ..data.shared import sharing
from ..errors import MismatchError, ProfileError
from ..logic import Logic
from ..profile import Profile, TrustedSet
from .part import Part
from .plan import Shard, Sharding
from .sums import Sums, absorb, exact
from .tree import Tree

_NAMED = 10


class Merged(NamedTuple):
    """A profile that is not finished yet, and what is missing in it, in words ("" for nothing)."""

    profile: Profile
    logic: Logic
    confusion: Confusion
    missing: str


class _Taken(NamedTuple):
    name: str
    shard: Shard
    leaves: range
    finished: int
    frames: int
    digest: str


class Merger:
    """Takes in parts in any order, one at a time, and holds little more than the profile that they make.

    What a part holds is lost with it.
    """

    def __init__(self) -> None:
        self._first: Part | None = None
        self._name = ""
        self._taken: list[_Taken] = []
        self._sums: Tree[Sums] | None = None
        self._broken: dict[str, str] = {}

    def add(self, part: Part, name: str = "") -> None:
        """Take in a part. name: of its file, for messages. Raises MismatchError that says what differs.

        Raises ProfileError for a shard that is there already, or overlaps with one.
        """
        name = name or f"shard {part.shard}"
        if self._first is not None:
            refuse_other(self._first, part, self._name, name)
        self._refuse_again(part, name)
        frames = part.profile.trusted.frames
        self._taken.append(_Taken(name, part.shard, part.leaves, len(part.seen), frames, part.digest))
        if not part.complete:  # what it has of the shard goes: it is learned anew, or left out as a whole
            return
        if self._first is None or self._sums is None:
            self._first, self._name, self._sums = part, name, part.sums
            return
        for place, sums in part.sums:
            self._sums.add(place, sums)
        _add(self._first, part)

    def broken(self, name: str, reason: str) -> None:
        """Note a file that is no part, or not a whole one."""
        self._broken[name] = reason

    @property
    def has_broken(self) -> bool:
        """Whether there was a file that is no part."""
        return bool(self._broken)

    def merged(self, *, allow_missing: bool = False) -> Merged:
        """The profile of all parts. allow_missing: whether it may be that of some.

        Raises ProfileError that names the shards that are missing, unfinished or broken, and where there is no part.
        """
        missing, first = self._missing(), self._first
        if first is None or self._sums is None or (missing and not allow_missing):
            kept = sum(one.finished == len(one.leaves) for one in self._taken)
            rest = f"; the other {kept:,} are whole: run what is missing again, and merge anew" if kept else ""
            raise ProfileError(f"expected all parts of a profile, got others: {missing or 'no part'}{rest}")
        profile, whole = first.profile, self._sums.whole(first.plan.height)
        whole = Sums.fresh(profile) if whole is None else whole
        return Merged(whole.within(profile), first.logic, first.confusion, missing)

    def _refuse_again(self, part: Part, name: str) -> None:
        for other in self._taken:
            both = range(max(part.leaves.start, other.leaves.start), min(part.leaves.stop, other.leaves.stop))
            if both:
                rows = part.plan.rows_of(both)
                raise ProfileError(
                    f"expected parts of different frames, got rows {rows.start:,} to {rows.stop - 1:,} in {other.name}"
                    f" (shard {other.shard}) and in {name} (shard {part.shard})"
                )
            if part.seen and part.digest == other.digest:
                raise ProfileError(
                    f"expected parts of different frames, got the same ones in {other.name} (shard {other.shard}) and"
                    f" in {name} (shard {part.shard}); each worker is to be given all frames, and its own shard"
                )

    def _missing(self) -> str:
        """What is missing, in words."""
        said = [f"{name}: {reason}" for name, reason in self._broken.items()]
        unfinished = [one for one in self._taken if one.finished < len(one.leaves)]
        said += [
            f"{one.name}: shard {one.shard} is not finished, {one.finished} of {len(one.leaves)} logical shards are"
            " learned: go on with --resume"
            for one in unfinished
        ]
        if self._plan is not None:
            said += self._gaps(self._plan)
        return "; ".join(said)

    @property
    def _plan(self) -> Sharding | None:
        return None if self._first is None else self._first.plan

    def _gaps(self, plan: Sharding) -> list[str]:
        """The shards that are not there, or the rows where those that are there are of different numbers of workers."""
        finished = [one for one in self._taken if one.finished == len(one.leaves)]
        ends = [(0, 0), *sorted((one.leaves.start, one.leaves.stop) for one in finished if one.leaves)]
        ends.append((plan.leaves, plan.leaves))
        gaps = [range(before[1], after[0]) for before, after in pairwise(ends) if before[1] < after[0]]
        if not gaps:
            return []
        rows = [plan.rows_of(gap) for gap in gaps]
        count = sum(map(len, rows))
        listed = _listed([f"{one.start:,} to {one.stop - 1:,}" for one in rows])
        whose = ""
        if len({one.shard.of for one in self._taken}) == 1:
            of = self._taken[0].shard.of
            there = {one.shard.worker for one in finished}
            lost = [Shard(k, of) for k in range(of) if k not in there and plan.leaves_of(Shard(k, of))]
            whose = f"shard{'s' * (len(lost) != 1)} {_listed(list(map(str, lost)))}: "
        return [f"missing: {whose}rows {listed}, {count:,} of {plan.frames:,} frames"]


def _listed(words: list[str]) -> str:
    return ", ".join(words[:_NAMED]) + (f" and {len(words) - _NAMED:,} more" if len(words) > _NAMED else "")


def refuse_other(first: Part, other: Part, name: str, other_name: str) -> None:
    """Raise MismatchError that says in what two parts differ that must be alike."""
    lines = [*first.profile.facts.differences(other.profile.facts)]
    pairs = zip(_alike(first).items(), _alike(other).values(), strict=True)
    lines += [
        f"{what}: expected {_short(mine)}, got {_short(theirs)}" for (what, mine), theirs in pairs if mine != theirs
    ]
    labelled = [one.profile.trusted.labelled for one in (first, other)]
    if first.profile.trusted.frames and other.profile.trusted.frames and labelled[0] != labelled[1]:
        lines.append("labels: expected them in all parts or in none, got them in one")
    if lines:
        raise MismatchError(
            f"{other_name}: expected a part of the same profile as {name}, got another:\n  " + "\n  ".join(lines)
        )


def _alike(part: Part) -> dict[str, Any]:
    """What must be the same in all parts, beside the network."""
    profile = part.profile
    return {
        "preprocessing": profile.facts.preprocessing,
        "taps": [tap.id for tap in profile.facts.taps],
        "criteria": [(profile.facts.taps[one.tap].id, one.criterion, one.group) for one in profile.columns],
        "criteria of boxes": None if profile.boxes is None else profile.boxes.columns,
        "logic": part.logic,
        "trusted confidence": profile.trusted.confidence,
        "minimum per class": profile.trusted.minimum_per_class,
        "names of classes": profile.class_names,
        "number of frames": part.plan.frames,
        "size of batches": part.plan.batch,
        "names of frames": part.listing,
        "program": part.by,
    }


def _short(fact: Any) -> str:
    text = str(fact)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _add(first: Part, other: Part) -> None:
    """Add to a part what does not depend on the order, in place."""
    mine, theirs = first.profile, other.profile
    absorb(
        mine.columns,
        {i: mine.signatures[i] for i in exact(mine.columns)},
        {i: theirs.signatures[i] for i in exact(mine.columns)},
    )
    mine.signatures = sharing(mine.columns, mine.signatures)
    add_trusted(mine.trusted, theirs.trusted)
    mine.spool.merge(theirs.spool)
    mine.digests.merge(theirs.digests)
    first.confusion.merge(other.confusion)


def add_trusted(mine: TrustedSet, theirs: TrustedSet) -> None:
    """Add the counts of another trusted set, in place."""
    mine.labelled = mine.labelled or theirs.labelled
    mine.per_class = mine.per_class + theirs.per_class
    mine.frames += theirs.frames
    mine.non_finite += theirs.non_finite
    if mine.per_map_class is not None and theirs.per_map_class is not None:
        mine.per_map_class = mine.per_map_class + theirs.per_map_class
    if theirs.pictures is not None:
        if mine.pictures is None:
            mine.pictures = theirs.pictures
        else:
            mine.pictures.merge(theirs.pictures)
