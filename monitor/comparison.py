"""The columns of a profile that can be compared together, criterion by criterion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ..coverage import Joined, join
from ..networks import Tap
from .profile import Profile, gives_codes


class Comparison:
    """Fills in the deviations of many columns with one call a criterion; the tables are derived at the first.

    places: of each column's tap among the activations of an `Observation`.
    """

    def __init__(self, profile: Profile, places: Sequence[int]) -> None:
        self.places = tuple(places)
        self._profile = profile

    def compare(self, activations: Sequence[np.ndarray], labels: np.ndarray, deviations: np.ndarray) -> tuple[int, ...]:
        """Write to the columns of `deviations` (n, columns) that are joined; the others are returned.

        labels: (n,) int64, the class of each frame.
        """
        for together in self.together:
            values = np.concatenate([activations[self.places[i]] for i in together.columns], axis=1)
            out = np.empty((len(values), len(together.columns)), np.float32)
            together.joined.compare(values, labels, out)
            deviations[:, together.where] = out
        return self.alone

    @cached_property
    def together(self) -> tuple[Together, ...]:
        """The columns that are joined, criterion by criterion."""
        found = []
        profile = self._profile
        for _, members in groupby(range(len(profile.columns)), lambda i: profile.columns[i].group):
            fitting = [i for i in members if self._fits(profile.network.taps[profile.columns[i].tap])]
            if len(fitting) > 1:
                joined = join(profile.columns[fitting[0]].criterion, [profile.signatures[i] for i in fitting])
                if joined is not None:
                    found.append(Together(joined, tuple(fitting)))
        return tuple(found)

    @cached_property
    def alone(self) -> tuple[int, ...]:
        """The other columns, which are compared one by one."""
        joined = {i for together in self.together for i in together.columns}
        return tuple(i for i in range(len(self._profile.columns)) if i not in joined)

    @staticmethod
    def _fits(tap: Tap) -> bool:
        return tap.neurons != "pixel" and not gives_codes(tap)


class Together(NamedTuple):
    """Columns of one criterion that are compared in one call, in the order of the joined signatures."""

    joined: Joined
    columns: tuple[int, ...]

    @property
    def where(self) -> slice | list[int]:
        """The columns as an index: a slice where they stand side by side."""
        first, last = self.columns[0], self.columns[-1] + 1
        return slice(first, last) if last - first == len(self.columns) else list(self.columns)
