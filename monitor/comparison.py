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

        labels: (n,) int64, the class of each frame. Raises ValueError for activations of another shape.
        """
        for joined, columns in self.together:
            parts = [activations[self.places[i]] for i in columns]
            values = np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))
            if values.shape != (len(labels), joined.neurons):
                raise ValueError(f"expected activations ({len(labels)}, {joined.neurons}), got {values.shape}")
            joined.compare(values, labels, deviations, columns)
        return self.alone

    @cached_property
    def together(self) -> tuple[Together, ...]:
        """The columns that are joined, criterion by criterion."""
        profile, found = self._profile, []
        for _, members in groupby(range(len(profile.columns)), lambda i: profile.columns[i].group):
            fitting = tuple(i for i in members if self._fits(profile.facts.taps[profile.columns[i].tap]))
            if fitting:
                found += self._joined(fitting) or [one for i in fitting for one in self._joined((i,))]
        return tuple(found)

    @cached_property
    def alone(self) -> tuple[int, ...]:
        """The other columns, which are compared one by one."""
        joined = {i for together in self.together for i in together.columns}
        return tuple(i for i in range(len(self._profile.columns)) if i not in joined)

    def _joined(self, columns: tuple[int, ...]) -> list[Together]:
        criterion = self._profile.columns[columns[0]].criterion
        joined = join(criterion, [self._profile.signatures[i] for i in columns])
        return [] if joined is None else [Together(joined, columns)]

    @staticmethod
    def _fits(tap: Tap) -> bool:
        return tap.neurons != "pixel" and not gives_codes(tap)


class Together(NamedTuple):
    """Columns of one criterion that are compared in one call, in the order of the joined signatures."""

    joined: Joined
    columns: tuple[int, ...]
