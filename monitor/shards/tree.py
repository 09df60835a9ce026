"""A binary tree over logical shards, along which they are joined: the same one, whoever learned them and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
Place = tuple[int, int]
"""(level, index): a node of level l and index i stands for the logical shards from i * 2**l up to (i + 1) * 2**l."""


class Tree(Generic[T]):
    """What was learned of some logical shards. Two nodes that are halves of one are joined at once.

    So shards that follow each other are at most two nodes of each level, and which floats are added to which does not
    depend on the order in which nodes come. join: (left, right) -> both; it may change them.
    """

    def __init__(self, join: Callable[[T, T], T]) -> None:
        self._join, self._nodes = join, dict[Place, T]()

    def add(self, place: Place, held: T) -> None:
        """Take in a node. Raises ValueError for one that is there."""
        level, index = place
        if place in self._nodes:
            raise ValueError(f"expected each node once, got node {index} of level {level} twice")
        while (level, index ^ 1) in self._nodes:
            other = self._nodes.pop((level, index ^ 1))
            held = self._join(other, held) if index % 2 else self._join(held, other)
            level, index = level + 1, index // 2
        self._nodes[level, index] = held

    def __iter__(self) -> Iterator[tuple[Place, T]]:
        """The nodes with their places, in the order of their first logical shards."""
        return iter(sorted(self._nodes.items(), key=lambda node: node[0][1] << node[0][0]))

    def __len__(self) -> int:
        return len(self._nodes)

    def whole(self, height: int) -> T | None:
        """All nodes as one, None without any. Where some are missing, the others are joined as if these were empty.

        height: the level of the root. The tree is empty afterwards.
        """
        for level in range(height):
            for place in sorted(place for place in self._nodes if place[0] == level):
                self.add((level + 1, place[1] // 2), self._nodes.pop(place))
        return self._nodes.pop((height, 0), None)
