"""What is evaluated of named data: sets that are given, and sets that are made of the clean one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...monitor import Monitor
from ...monitor.evaluation import Evaluation, JudgedSet, cost_of, evaluate_sets, judge_set
from ...monitor.evaluation.evaluating import RATE_FPS
from ...monitor.evaluation.intervals import RESAMPLES
from ...monitor.evaluation.judged import ADAPTIVE, ATTACK, CLEAN, CORRUPTION, FAULT, GIVEN, named_drives
from ...networks import Preprocessing
from ...networks.packages import require
from ..inputs.class_numbers import numbered_as, with_labels_for
from ..inputs.joint import JointSource, open_frames
from ..inputs.learned_pictures import comparing
from ..inputs.sources import Source, drives_of
from .adaptive import AdaptiveRun
from .attacks import COUNT, EPSILON, AttackRun
from .changed import of_corruption, of_fault
from .corruptions import COMMON, CORRUPTIONS, SEVERITIES
from .faults import FAULTS

Chosen = bool | Sequence[str]
"""All, none, or those of these names."""


@dataclass(frozen=True)
class PlannedSet:
    """A set that is read from a source. labelled: whether its labels are of the network's classes."""

    name: str
    kind: str
    source: Source | JointSource
    labelled: bool
    severity: int | None = None


class EvaluationPlan:
    """The sets of an evaluation, opened and checked before the first frame is read.

    monitor: calibrated. clean: data like the trusted ones, which neither profile nor threshold has seen, by the text
    that names them, as for `outrider check`. unsafe: others by their names. labelled: those of them whose labels are
    of the network's classes. corruptions: True for the fifteen of ImageNet-C, or their names. severities: of these.
    faults: True for all of `FAULTS`, or their names. attacks: names as of `AttackRun`, or ``adaptive``, with
    epsilon, count and bounds. no_labels, classes_order, class_map: of the clean set and of labelled ones, as for
    `outrider profile`. by_drive: intervals count drives, as for `outrider calibrate`. rows: a part of each set.
    on_error: ``stop``, ``skip`` or ``alarm``, for frames that cannot be read; of sets made of the clean one they are
    left out.

    total: frames, for a progress bar. sources: those that were given, the clean one first.
    Raises ValueError, FileNotFoundError and ImportError that say what was expected.
    """

    def __init__(
        self,
        monitor: Monitor,
        clean: str,
        unsafe: Mapping[str, str],
        *,
        labelled: Sequence[str] = (),
        corruptions: Chosen = False,
        severities: Sequence[int] = SEVERITIES,
        faults: Chosen = False,
        attacks: Sequence[str] = (),
        epsilon: float | str = EPSILON,
        attack_count: int = COUNT,
        attack_bounds: tuple[float, float] | None = None,
        no_labels: bool = False,
        classes_order: Sequence[str] = (),
        class_map: str | None = None,
        by_drive: bool = False,
        rows: slice = slice(None),
        batch_size: int = 64,
        on_error: str = "stop",
    ) -> None:
        if strange := [name for name in labelled if name not in unsafe]:
            raise ValueError(f"expected names of unsafe sets in labelled=, got {', '.join(strange)}")
        self.monitor, self._batch, self._on_error, self._by_drive = monitor, batch_size, on_error, by_drive
        network = monitor.network
        inputs = [one.name for one in monitor.learned.facts.frame]

        def opened(name: str, data: str, *, with_labels: bool) -> PlannedSet:
            source = open_frames(data, rows, inputs)
            if on_error != "stop":
                source = replace(source, problems={})
            if no_labels or not with_labels or network.classes is None:
                source = replace(source, labels=None)
            else:
                known = monitor.learned.class_names
                source = numbered_as(source, network, order=classes_order, class_map=class_map, known=known)
                source = with_labels_for(network, source)
            return PlannedSet(name, CLEAN if name == CLEAN else GIVEN, source, with_labels)

        self.clean = opened(CLEAN, clean, with_labels=True)
        given = [opened(name, data, with_labels=name in labelled) for name, data in unsafe.items()]
        self.sources = [one.source for one in (self.clean, *given)]
        self.planned = [*given, *self._corruptions(corruptions, severities), *self._faults(faults)]
        self.attacks = [
            AdaptiveRun(monitor, epsilon, attack_count, attack_bounds)
            if one == ADAPTIVE
            else AttackRun(network, one, epsilon, attack_count, attack_bounds)
            for one in attacks
        ]
        names = [CLEAN, *(one.name for one in self.planned), *(one.name for one in self.attacks)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"expected a name of its own for each set, got {', '.join(twice)} more than once")
        attempts = len(self.attacks) * min(attack_count, len(self.clean.source))
        self.total = sum(len(one.source) for one in (self.clean, *self.planned)) + attempts

    def run(
        self,
        *,
        rate_fps: float = RATE_FPS,
        resamples: int = RESAMPLES,
        seed: int = 0,
        progress: Callable[[int], object] | None = None,
    ) -> Evaluation:
        """Show all sets to the monitor, one after the other, in bounded memory; see `monitor.evaluation.evaluate`."""
        done = 0

        def so_far(count: int) -> None:
            if progress is not None:
                progress(min(done + count, self.total))

        first: list[Any] = []
        judged = []
        for one in (self.clean, *self.planned):
            judged.append(self._judged(one, so_far, first))
            done += len(one.source)
        for attack in self.attacks:
            judged.append(self._attacked(attack, so_far))
            done += min(attack.count, len(self.clean.source))
        so_far(0)
        return evaluate_sets(
            self.monitor, judged[0], judged[1:], rate_fps=rate_fps, resamples=resamples, seed=seed,
            cost=cost_of(self.monitor, first[0]),
        )  # fmt: skip

    def _corruptions(self, chosen: Chosen, severities: Sequence[int]) -> Iterator[PlannedSet]:
        names = _names(chosen, COMMON, CORRUPTIONS, "corruption")
        if strange := [one for one in severities if one not in SEVERITIES]:
            raise ValueError(f"expected severities from 1 to 5, got {', '.join(map(str, strange))}")
        if names:
            require("imagecorruptions", "corruptions need imagecorruptions", "corruptions")
        for name in names:
            for severity in severities:
                source = of_corruption(self.clean.source, name, severity, white=self._white)
                yield PlannedSet(f"{name} {severity}", CORRUPTION, source, True, severity)

    def _faults(self, chosen: Chosen) -> Iterator[PlannedSet]:
        names, source = _names(chosen, tuple(FAULTS), tuple(FAULTS), "fault"), self.clean.source
        if chosen is True and len(source.picture(source.first())) == 1:
            names = tuple(name for name in names if not FAULTS[name].coloured)
        for name in names:
            yield PlannedSet(name, FAULT, of_fault(source, name, white=self._white), True)

    @property
    def _white(self) -> float | None:
        preprocessing = self.monitor.network.preprocessing
        return None if preprocessing is None else preprocessing.white

    def _judged(self, one: PlannedSet, progress: Callable[[int], object], first: list[Any]) -> JudgedSet:
        """first: takes in the first batch of all."""
        source, made = one.source, one.kind not in (CLEAN, GIVEN)
        preprocessing = self.monitor.network.preprocessing if made else comparing(self.monitor)
        of, seen = self._drives(source), list[int]()

        def batches() -> Iterator[Any]:
            for rows, batch in self._rows(source, preprocessing):
                first.extend(() if first else [batch])
                seen.extend(rows)
                yield batch if source.labels is None else (batch, source.labels[rows])
            _refuse_none(one.name, source)

        found = judge_set(
            self.monitor, batches(), labelled=one.labelled, progress=progress, name=one.name, kind=one.kind,
            severity=one.severity,
        )  # fmt: skip
        unread = np.setdiff1d(np.arange(len(source)), seen)
        if self._on_error == "alarm" and not made:
            found, seen = found.with_faults(len(unread)), [*seen, *unread]
        else:
            found = replace(found, unread=len(unread))
        return found if of is None else replace(found, **named_drives(of[seen], len(found)))

    def _attacked(self, attack: AttackRun | AdaptiveRun, progress: Callable[[int], object]) -> JudgedSet:
        source = self.clean.source
        of = self._drives(source)

        def rows() -> Iterator[tuple[list[int], Any, np.ndarray | None]]:
            for places, batch in self._rows(source, self.monitor.network.preprocessing):
                yield places, batch, None if source.labels is None else source.labels[places]

        def batches() -> Iterator[Any]:
            for samples, labels in attack.batches(rows()):
                progress(attack.tried)
                yield samples if source.labels is None else (samples, labels)

        kind = ADAPTIVE if isinstance(attack, AdaptiveRun) else ATTACK
        found = judge_set(self.monitor, batches(), may_be_empty=True, name=attack.name, kind=kind)
        drives = {} if of is None else named_drives(of[attack.rows], len(found))
        return replace(found, tried=attack.tried, **drives)

    def _rows(
        self, source: Source | JointSource, preprocessing: Preprocessing | None
    ) -> Iterator[tuple[list[int], Any]]:
        network = self.monitor.network
        return iter(source.rows(preprocessing, self._batch, network.inputs, network.reset))

    def _drives(self, source: Source | JointSource) -> np.ndarray | None:
        return drives_of(source, self.monitor.learned.class_names) if self._by_drive else None


def _names(chosen: Chosen, usual: Sequence[str], known: Sequence[str], noun: str) -> tuple[str, ...]:
    if isinstance(chosen, bool):
        return tuple(usual) if chosen else ()
    if strange := [name for name in chosen if name not in known]:
        raise ValueError(f"expected {noun}s among {', '.join(known)}, got {', '.join(strange)}")
    return tuple(chosen)


def _refuse_none(name: str, source: Source | JointSource) -> None:
    """Raise ValueError where no frame of a source could be read."""
    if source.problems and len(source.problems) == len(source):
        frame, reason = next(iter(source.problems.items()))
        raise ValueError(f"{name}: expected a frame that can be read, got none; {frame}: {reason}")
