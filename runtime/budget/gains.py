"""What taps detect: the logic fitted to the columns of some taps, and the AUROC of each fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...coverage import Criterion
from ...monitor import HarmonicP, Logic, Sum, auroc
from ...monitor.criteria import columns_of
from ...monitor.data.groups import Groups, groups_of
from ...networks import Tap, Taps

CHANCE = 0.5


@dataclass(frozen=True, eq=False)
class FaultDeviations:
    """The deviations of clean frames, (n, columns), and of frames with each fault by its name, (m, columns)."""

    clean: np.ndarray
    faults: Mapping[str, np.ndarray]


class Detection:
    """What the columns of some of the taps detect of the faults.

    scores: the taps of the class scores, which are always there. facts: classes, map_classes and scores of the network.
    criteria: those of each tap by its id. columns: what the columns of the deviations are, a criterion and the id of a
    tap each. choosing: the deviations by which taps are chosen; the logic is fitted to the clean ones.
    """

    def __init__(
        self, scores: Sequence[Tap], facts: Mapping[str, Any], criteria: Mapping[str, Sequence[Criterion]],
        columns: Sequence[tuple[Criterion, str]], choosing: FaultDeviations,
    ) -> None:  # fmt: skip
        self._scores, self._facts, self._criteria, self._choosing = tuple(scores), facts, criteria, choosing
        self._places = {column: i for i, column in enumerate(columns)}
        self._seen: dict[frozenset[str], float] = {}

    def mean(self, taps: Sequence[Tap]) -> float:
        """The mean AUROC over the faults, on the frames that choose."""
        key = frozenset(tap.id for tap in taps)
        if key not in self._seen:
            self._seen[key] = float(np.mean(list(self.by_fault(taps, self._choosing).values())))
        return self._seen[key]

    def by_fault(self, taps: Sequence[Tap], frames: FaultDeviations) -> dict[str, float]:
        """The AUROC of each fault against the clean frames; 0.5 where there is no column to tell by."""
        columns, groups = self._columns(taps)
        if not columns:
            return dict.fromkeys(frames.faults, CHANCE)
        logic: Logic = HarmonicP() if len(columns) > 1 else Sum()
        scales = logic.fit(self._choosing.clean[:, columns], groups)
        clean = logic.score(scales, frames.clean[:, columns], groups)
        return {
            name: auroc(clean, logic.score(scales, faulty[:, columns], groups))
            for name, faulty in frames.faults.items()
        }

    def _columns(self, taps: Sequence[Tap]) -> tuple[list[int], Groups]:
        """The places of the columns that a monitor of these taps would have, in its order, and their groups."""
        there = Taps([*taps, *self._scores])
        wanted = {tap.id: list(self._criteria[tap.id]) for tap in there if self._criteria.get(tap.id)}
        if not wanted:
            return [], groups_of(())
        view: Any = SimpleNamespace(taps=there, **self._facts)
        columns, used = columns_of(view, wanted)
        return [self._places[column.criterion, used[column.tap].id] for column in columns], groups_of(columns)
