"""How frames are cut among workers: into logical shards, which are the same however many workers there are."""

from __future__ import annotations

from typing import NamedTuple

MOST = 4096
"""Logical shards, at most: a few for each of a thousand workers."""
LEAST_FRAMES = 64
"""Frames of a logical shard, at least."""


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


class Sharding(NamedTuple):
    """Frames in their order, cut into logical shards, and these into batches.

    A logical shard is so many whole batches; the last may be shorter. How many depends on the number of frames and the
    size of a batch alone: as few as make at most `MOST` logical shards, each of at least `LEAST_FRAMES` frames. So the
    network sees the same batches whoever reads them.

    frames: how many there are in all. batch: the frames of a batch, at most.
    """

    frames: int
    batch: int

    def checked(self) -> Sharding:
        """The same. Raises ValueError for no frames and for batches of none."""
        if self.frames < 1 or self.batch < 1:
            raise ValueError(f"expected frames and batches of at least 1, got {self.frames} and {self.batch}")
        return self

    @property
    def size(self) -> int:
        """The frames of a logical shard; the last may have fewer."""
        return self.batch * -(-max(LEAST_FRAMES, -(-self.frames // MOST)) // self.batch)

    @property
    def leaves(self) -> int:
        """How many logical shards there are."""
        return -(-self.frames // self.size)

    @property
    def height(self) -> int:
        """How often they are joined two by two until one is left."""
        return (self.leaves - 1).bit_length()

    def rows(self, leaf: int) -> range:
        """The rows of a logical shard."""
        return self.rows_of(range(leaf, leaf + 1))

    def leaves_of(self, shard: Shard) -> range:
        """The logical shards of a worker; none where there are more workers than these."""
        return range(*(at * self.leaves // shard.of for at in (shard.worker, shard.worker + 1)))

    def rows_of(self, leaves: range) -> range:
        """The rows of logical shards that follow each other."""
        return range(*(min(at * self.size, self.frames) for at in (leaves.start, leaves.stop)))
