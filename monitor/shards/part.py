"""What one worker learned: its logical shards, in a form that joins with those of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...networks import Network
from ..attributes import strict
from ..data.batches import batches_of, behind, kept
from ..data.changes import program
from ..data.class_order import Confusion
from ..data.spool import FrameSpool
from ..errors import ProfileError
from ..facts.network import NetworkFacts
from ..files import Contents, read_contents, unpacked, write_whole
from ..learning import Learner
from ..logic import Logic
from ..profile import Profile
from .frames import Frames
from .plan import Shard, Sharding
from .stored import packed_part, unpacked_part
from .sums import Opened, Sums, joined
from .tree import Tree

if TYPE_CHECKING:
    from typing_extensions import Self


@strict
@dataclass
class Part:
    """A profile as far as one worker learned it; `Monitor.merge` makes a whole one of all parts.

    profile: what does not depend on the order: counts, extremes, samples kept by their digests. The signatures of
    columns that are summed are empty in it. sums: these, by logical shards. plan, shard: which frames are its own.
    seen: (shards finished,) uint64, a digest of the frames of each, in their order. opened: the shard after these,
    where it was begun. listing: a digest of the names of all frames, "" where they have none. by: the program and its
    version.
    """

    profile: Profile
    logic: Logic
    plan: Sharding
    shard: Shard
    sums: Tree[Sums]
    listing: str = ""
    by: str = field(default_factory=program)
    seen: list[int] = field(default_factory=list)
    opened: Opened | None = None
    confusion: Confusion = field(default_factory=Confusion)

    @classmethod
    def fresh(cls, profile: Profile, logic: Logic, plan: Sharding, shard: Shard, listing: str = "") -> Part:
        """A part that has seen nothing. profile: a fresh one."""
        profile = replace(profile, spool=FrameSpool(total=plan.frames))
        return cls(profile, logic, plan.checked(), shard.checked(), Tree(partial(joined, profile.columns)), listing)

    @property
    def leaves(self) -> range:
        """Its logical shards."""
        return self.plan.leaves_of(self.shard)

    @property
    def rows(self) -> range:
        """Its rows among all frames."""
        return self.plan.rows_of(self.leaves)

    @property
    def complete(self) -> bool:
        """Whether all its logical shards were learned."""
        return len(self.seen) == len(self.leaves)

    @property
    def digest(self) -> str:
        """A digest of the frames it saw, in their order."""
        return blake2b(np.array(self.seen, "<u8").tobytes(), digest_size=16).hexdigest()

    def learn(
        self, network: Network, data: Frames, *, progress: Callable[[int], None] | None = None,
        keep: Callable[[], object] | None = None, kept_often: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        """Learn what is left of its logical shards.

        progress: called with the number of frames seen, after each batch. keep: called where it or the data raise, so
        that what was learned is not lost. kept_often: called after each batch.
        """
        learner, of = None, None
        for frames, labels in self._kept(self._left(network, data), keep):
            opened = self.opened
            if opened is None:
                raise ValueError("expected a logical shard that was begun")
            if learner is None or of is not opened:
                learner, of = Learner(network, opened.sums.within(self.profile)), opened
                learner.confusion = self.confusion
            opened.saw(learner.learn(frames, labels))
            try:
                if progress:
                    progress(self.profile.trusted.frames)
            except BaseException:
                if keep:
                    keep()
                raise
            if kept_often:
                kept_often()

    @staticmethod
    def _kept(batches: Iterator[Any], keep: Callable[[], object] | None) -> Iterator[Any]:
        return batches if keep is None else kept(batches, keep)

    def _left(self, network: Network, data: Frames) -> Iterator[Any]:
        """The batches of the logical shards that are left; each is opened before and closed after its own."""
        for leaf in self.leaves[len(self.seen) :]:
            if self.opened is None:
                self.opened = Opened(Sums.fresh(self.profile))
            rows = self.plan.rows(leaf)
            found = batches_of(data.batches(rows, self.plan.batch), network)
            yield from behind(found, self.opened.frames)
            self.sums.add((0, leaf), self.opened.sums)
            self.seen.append(self.opened.digest)
            self.opened = None

    def first(self) -> Part:
        """One that has seen nothing, as the worker of the first logical shard alone."""
        return Part.fresh(self.profile, self.logic, self.plan, Shard(0, self.plan.leaves), self.listing)

    def at(self, shard: Shard) -> Part:
        """The same as if what it learned as the first logical shard were that of another worker."""
        (((_, _), sums),) = self.sums
        tree: Tree[Sums] = Tree(partial(joined, self.profile.columns))
        tree.add((0, shard.worker), sums)
        return replace(self, shard=shard.checked(), sums=tree)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a file, for its owner alone to read: it holds frames. Raises ProfileError."""
        write_whole(Path(path), packed_part(self), mode=0o600)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of `save`. Raises ProfileError for anything else, FileNotFoundError."""
        return cls.of_contents(read_contents(path), path)

    @classmethod
    def of_contents(cls, contents: Contents, name: str | os.PathLike[str]) -> Self:
        """The part of what a file holds. name: of the file, for errors. Raises ProfileError for anything else."""
        return unpacked_part(contents, name, cls)

    def __bytes__(self) -> bytes:
        """What `save` writes."""
        return packed_part(self)

    @classmethod
    def of(cls, data: bytes, name: str = "part") -> Self:
        """The part of what `bytes` gives. name: for errors. Raises ProfileError for anything else."""
        return cls.of_contents(unpacked(data, name), name)

    def __str__(self) -> str:
        state = "" if self.complete else f", {len(self.seen)} of {len(self.leaves)} logical shards learned"
        rows = self.rows
        return f"shard {self.shard}, rows {rows.start:,} to {rows.stop - 1:,}{state}" if rows else f"shard {self.shard}"


def refuse_memory(network: Network) -> None:
    """Raise ProfileError for a recurrent network, whose frames cannot be cut."""
    if network.memory is not None:
        raise ProfileError(
            "expected a network that sees each frame by itself, got a recurrent one: a shard would begin in the middle"
            " of a drive; profile whole drives, each into a file of its own, and merge these"
        )


def resumed(part: Part, path: str | os.PathLike[str], fresh: Part) -> Part:
    """A part from a checkpoint, to go on with. Raises ProfileError where it was begun otherwise than asked."""
    part.profile.facts.refuse_another(path, fresh.profile.facts)
    asked, found = (_begun(one) for one in (fresh, part))
    for name, wanted in asked.items():
        if wanted != found[name]:
            raise ProfileError(
                f"{path}: expected the {name} it began with, {found[name]}, got {wanted}; remove it to start anew"
            )
    return part


def _begun(part: Part) -> dict[str, Any]:
    """What must be the same where a part goes on."""
    trusted, boxes = part.profile.trusted, part.profile.boxes
    facts: NetworkFacts = part.profile.facts
    return {
        "shard": str(part.shard),
        "number of frames": part.plan.frames,
        "size of batches": part.plan.batch,
        "names of frames": part.listing,
        "criteria": {(column.criterion, facts.taps[column.tap].id) for column in part.profile.columns},
        "criteria of boxes": None if boxes is None else boxes.columns,
        "preprocessing": facts.preprocessing,
        "logic": part.logic,
        "trusted confidence": trusted.confidence,
        "minimum per class": trusted.minimum_per_class,
        "names of classes": part.profile.class_names,
        "program": part.by,
    }
