"""The columns of a profile that can be compared together, criterion by criterion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from ..coverage import Joined, join
from .profile import Profile, gives_codes


class Comparison:
    """Fills in the deviations of many columns with one call a criterion; the tables are derived at the first.

    places: of each column's tap among the activations of an `Observation`.
    """

    def __init__(self, profile: Profile, places: Sequence[int]) -> None:
        self._profile, self._places = profile, places
        self._joined: list[_Part] | None = None
        self._alone: tuple[int, ...] = ()

    def compare(self, activations: Sequence[np.ndarray], labels: np.ndarray, deviations: np.ndarray) -> tuple[int, ...]:
        """Write to the columns of `deviations` (n, columns) that are joined; the others are returned.

        labels: (n,) int64, the class of each frame.
        """
        if self._joined is None:
            self._joined = self._join()
        for part in self._joined:
            part.compare(activations, labels, deviations)
        return self._alone

    def _join(self) -> list[_Part]:
        parts, alone = [], []
        profile = self._profile
        for _, members in groupby(range(len(profile.columns)), lambda i: profile.columns[i].group):
            columns = list(members)
            taps = [profile.network.taps[profile.columns[i].tap] for i in columns]
            fitting = [
                i for i, tap in zip(columns, taps, strict=True) if tap.neurons != "pixel" and not gives_codes(tap)
            ]
            joined = None
            if len(fitting) > 1:
                joined = join(profile.columns[fitting[0]].criterion, [profile.signatures[i] for i in fitting])
            if joined is None:
                alone += columns
            else:
                parts.append(_Part(joined, fitting, [self._places[i] for i in fitting]))
                alone += [i for i in columns if i not in fitting]
        self._alone = tuple(alone)
        return parts


class _Part:
    """Columns of one criterion, and room for the neurons of one frame beside each other."""

    def __init__(self, joined: Joined, columns: Sequence[int], places: Sequence[int]) -> None:
        self._joined, self._places = joined, places
        whole = list(columns) == list(range(columns[0], columns[-1] + 1))
        self._columns = slice(columns[0], columns[-1] + 1) if whole else list(columns)

    def compare(self, activations: Sequence[np.ndarray], labels: np.ndarray, deviations: np.ndarray) -> None:
        values = np.concatenate([activations[place] for place in self._places], axis=1)
        out = np.empty((len(values), len(self._places)), np.float32)
        self._joined.compare(values, labels, out)
        deviations[:, self._columns] = out
