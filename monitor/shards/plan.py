"""How frames are cut among workers: into logical shards, which are the same however many workers there are."""

from __future__ import annotations

from typing import NamedTuple

MOST = 4096
"""Logical shards, at most: a few for each of a thousand workers."""
LEAST_FRAMES = 64
"""Frames of a logical shard, at least: one batch. Of fewer frames in all, there is one logical shard."""


class Shard(NamedTuple):
    """Worker `worker` of `of`, counted from 0 as schedulers count."""

    worker: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``3/64`` -> worker 3 of 64. Raises ValueError for anything else, and for a number out of range."""
        worker, _, of = text.partition("/")
        if not (worker.isdecimal() and of.isdecimal()):
            raise ValueError(f"expected a shard as K/N, such as 0/64 to 63/64, got {text!r:.40}")
        return cls(int(worker), int(of)).checked()

    def checked(self) -> Shard:
        """The same. Raises ValueError for a number out of range."""
        if not 0 <= self.worker < self.of:
            wanted = f"from 0/{self.of} to {self.of - 1}/{self.of}" if self.of else "of at least one worker"
            raise ValueError(f"expected a shard {wanted}, as they are counted from 0, got {self}")
        return self

    def __str__(self) -> str:
        return f"{self.worker}/{self.of}"


class Plan(NamedTuple):
    """Frames in their order, cut into logical shards, and these into batches.

    The number of logical shards depends on that of the frames alone: the largest power of two, at most `MOST`, that
    leaves `LEAST_FRAMES` frames to each. Logical shard i holds the rows r with i = floor(r * leaves / frames). A batch
    begins where its logical shard does and never goes beyond, so that the network sees the same batches whoever reads
    them.

    frames: how many there are in all. batch: the frames of a batch, at most.
    """

    frames: int
    batch: int

    def checked(self) -> Plan:
        """The same. Raises ValueError for no frames and for batches of none."""
        if self.frames < 1 or self.batch < 1:
            raise ValueError(f"expected frames and batches of at least 1, got {self.frames} and {self.batch}")
        return self

    @property
    def leaves(self) -> int:
        """How many logical shards there are."""
        return min(MOST, 1 << (max(1, self.frames // LEAST_FRAMES).bit_length() - 1))

    @property
    def height(self) -> int:
        """How often they are joined two by two until one is left."""
        return self.leaves.bit_length() - 1

    def rows(self, leaf: int) -> range:
        """The rows of a logical shard."""
        return range(*(-(-at * self.frames // self.leaves) for at in (leaf, leaf + 1)))

    def leaves_of(self, shard: Shard) -> range:
        """The logical shards of a worker; none where there are more workers than these."""
        return range(*(at * self.leaves // shard.of for at in (shard.worker, shard.worker + 1)))

    def rows_of(self, leaves: range) -> range:
        """The rows of logical shards that follow each other."""
        return range(self.rows(leaves.start).start, self.rows(leaves.stop).start)
