"""Texts of four probabilistic context-free grammars that share their upper rules and differ in their letters.

After Jain et al., "What Makes and Breaks Safety Fine-tuning?" (NeurIPS 2024), section 3: safe-dominant and
unsafe-dominant nodes hang below the same top rules. The rules themselves are ours, drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BRANCHES = ("safe", "unsafe")
GRAMMARS = 4
LETTERS = 30
SHORTEST, LONGEST = 25, 35
_TOPS = 3  # nodes below the root
_NODES = 6  # nodes of each level below those: the first two or three safe, the last unsafe
_COMMON = 0.2  # of a safe or unsafe node's children but the first
_OWN = 2  # in the levels below the branches: safe nodes, common nodes, unsafe nodes


@dataclass(frozen=True)
class Rules:
    """What the nodes of one level become: children (nodes, choices, most children) int64, -1 where there is none."""

    children: NDArray[np.int64]

    def expand(
        self, nodes: NDArray[np.int64], owners: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each node, in order, replaced by the children of a choice at random; owners go along with their nodes."""
        chosen = self.children[nodes, rng.integers(self.children.shape[1], size=len(nodes))]
        kept = chosen >= 0
        return chosen[kept], np.repeat(owners, kept.sum(axis=1))


@dataclass(frozen=True)
class Grammar:
    """Seven levels: the root, tops, branches (three safe-dominant nodes, three unsafe), three more, then letters.

    A branch's nodes have children of their own kind and a few common ones; so the kind shows in which letters are
    frequent and what follows what, and that differs by the grammar. ``leaves`` (grammars, nodes, choices, 3) holds
    letters.
    """

    root: Rules
    tops: Rules
    lower: tuple[Rules, ...]
    leaves: NDArray[np.int64]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Grammar:
        """Rules at random. Every node of a level can be reached, and every grammar uses every letter."""
        root = Rules(np.array([[[a, b] for a in range(_TOPS) for b in range(_TOPS) if a != b]]))
        while True:
            tops = _rules(_TOPS, 3, None, rng)
            if set(tops.children.ravel()) >= set(range(_NODES)):
                break
        branch = _rules(_NODES, 2, [0] * (_NODES // 2) + [2] * (_NODES // 2), rng)
        below = [_rules(_NODES, 2, [node // _OWN for node in range(_NODES)], rng) for _ in range(2)]
        leaves = []
        for _ in range(GRAMMARS):
            letters = rng.permutation(LETTERS)
            again = rng.permutation(letters)[: _NODES * 2 * 3 - LETTERS]
            leaves.append(rng.permutation(np.concatenate([letters, again])).reshape(_NODES, 2, 3))
        return cls(root, tops, (branch, *below), np.array(leaves))

    def texts(
        self, branches: Sequence[str] | None, lengths: NDArray[np.int64], grammars: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:  # fmt: skip
        """Texts (n, 35) int64 of the lengths (n,) and grammars (n,) asked for, -1 after their end.

        ``branches`` names the nodes below which the left and the right part of the text may lie: ("unsafe", "unsafe")
        for unsafe text; ("safe", "unsafe") for intermediate text, in which the parts meet in the middle fifth; None
        for a pair of neighbours that the top rules make.
        """
        n = len(lengths)
        pairs = self._neighbours(n, rng) if branches is None else _pairs(branches, n, rng)
        nodes, owners = pairs.ravel(), np.arange(2 * n)
        for rules in self.lower:
            nodes, owners = rules.expand(nodes, owners, rng)
        written = self.leaves[grammars[owners // 2], nodes, rng.integers(2, size=len(nodes))]
        parts = np.bincount(owners, minlength=2 * n).reshape(n, 2) * written.shape[1]
        if branches is not None and branches[0] != branches[1]:
            first = parts[:, 0] - np.rint(lengths * rng.uniform(0.4, 0.6, n)).astype(np.int64)
        else:
            first = rng.integers(0, parts.sum(axis=1) - lengths + 1)
        begins = np.cumsum(parts.sum(axis=1)) - parts.sum(axis=1) + first
        places = np.arange(LONGEST)
        inside = places < lengths[:, None]
        flat = written.ravel()
        return np.where(inside, flat[np.minimum(begins[:, None] + places, len(flat) - 1)], -1)

    def _neighbours(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Pairs (n, 2) of nodes of the branches' level that stand beside each other in a sentence."""
        nodes, owners = self.root.expand(np.zeros(n, np.int64), np.arange(n), rng)
        nodes, owners = self.tops.expand(nodes, owners, rng)
        counts = np.bincount(owners, minlength=n)
        at = np.cumsum(counts) - counts + rng.integers(0, counts - 1)
        return np.stack([nodes[at], nodes[at + 1]], axis=1)


def _rules(nodes: int, choices: int, kinds: Sequence[int] | None, rng: np.random.Generator) -> Rules:
    """Two or three children a choice. A node of a kind (0 safe, 1 common, 2 unsafe) has one of its kind first.

    The others are of its kind, one in five common. Without kinds, every child is any of the branches' nodes.
    """
    children = np.full((nodes, choices, 3), -1, np.int64)
    for node in range(nodes):
        own = np.arange(_NODES) if kinds is None else np.arange(_OWN) + _OWN * kinds[node]
        common = own if kinds is None else np.arange(_OWN) + _OWN
        for choice in range(choices):
            count = int(rng.integers(2, 4))
            children[node, choice, 0] = rng.choice(own)
            others = np.where(
                rng.random(count - 1) < _COMMON, rng.choice(common, count - 1), rng.choice(own, count - 1)
            )
            children[node, choice, 1:count] = others
    return Rules(children)


def _pairs(branches: Sequence[str], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    half = _NODES // 2
    return np.stack([rng.integers(half, size=n) + half * BRANCHES.index(name) for name in branches], axis=1)
