"""Which columns are judged together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..profile import Column


class Groups(NamedTuple):
    """The groups of the columns of a profile.

    of: (columns,) int64, the group of each; those of one group stand together. given: (columns,) bool, whether a column
    is also judged by what its deviation is where the network is as sure. confidence: the column that tells how sure it
    is, -1 where none does; then none is given.
    """

    of: np.ndarray
    given: np.ndarray
    confidence: int = -1

    @property
    def ends(self) -> np.ndarray:
        """Where the columns of each group end, (groups,) int64."""
        return _ends(self.of)

    @property
    def following(self) -> np.ndarray:
        """The columns that are given, (any,) int64."""
        return np.flatnonzero(self.given)

    @property
    def ends_of_following(self) -> np.ndarray:
        """Where each group ends among the columns that are given."""
        return _ends(self.of[self.given])

    def parts(self) -> list[np.ndarray]:
        """The columns of each part: of the sum of each group, of its highest where it has several, then those given."""
        whole = _members(self.of, np.arange(len(self.of)))
        following = _members(self.of[self.given], self.following)
        return [*whole, *_several(whole), *following, *_several(following)]

    def votes(self) -> np.ndarray:
        """The share that each part has, (parts,) float64: one for each group, which its parts share; they sum to 1."""
        group = np.array([self.of[columns[0]] for columns in self.parts()])
        share: np.ndarray = 1 / (group[:, None] == group).sum(axis=1) / len(np.unique(group))
        return share


def groups_of(columns: Sequence[Column]) -> Groups:
    """The groups of columns, of which criteria say whether they tell a confidence and whether they follow it."""
    sure = [i for i, column in enumerate(columns) if column.criterion.tells_confidence]
    confidence = sure[0] if sure else -1
    given = [bool(sure) and column.criterion.follows_confidence for column in columns]
    return Groups(np.array([column.group for column in columns]), np.array(given, bool), confidence)


def as_groups(groups: Groups | np.ndarray) -> Groups:
    """Groups, also of the numbers alone, (columns,)."""
    if isinstance(groups, Groups):
        return groups
    of = np.asarray(groups)
    return Groups(of, np.zeros(len(of), bool))


def _ends(of: np.ndarray) -> np.ndarray:
    return np.append(np.flatnonzero(of[1:] != of[:-1]) + 1, len(of)) if len(of) else np.empty(0, np.int64)


def _members(of: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    ends = _ends(of)
    return np.split(columns, ends[:-1]) if len(ends) else []


def _several(parts: list[np.ndarray]) -> list[np.ndarray]:
    return [columns for columns in parts if len(columns) > 1]
