"""What a monitor said of the frames of a set: a few numbers a frame, while the frames themselves stream past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.batches import Batches, batches_of, check_labels
from ..data.digests import digests_of
from ..thresholds.held_out import numbered
from ..verdict import Status

if TYPE_CHECKING:
    from ..monitor import Monitor

KINDS = CLEAN, GIVEN, CORRUPTION, FAULT, ATTACK, ADAPTIVE = (
    "clean", "given", "corruption", "fault", "attack", "adaptive",
)  # fmt: skip
"""Where the frames of a set come from. An attack aims at the network alone, an adaptive one at the monitor too."""
Progress = Callable[[int], object]


@dataclass(frozen=True, eq=False)
class JudgedSet:
    """The verdicts on a set of n frames.

    status: (n,) int64, of `Status`. score, threshold: (n,) float64, as of `Verdicts`. prediction: (n,) int64, -1 where
    there is no class. label: (n,) int64, the right class, -1 where it is not known; None without labels. drives: (n,),
    the drive of each, None where each frame counts alone. name, kind: what it is, see `KINDS`. severity: of a
    corruption, 1 to 5. unread: frames that could not be read and are not among the n. tried: frames that were attacked;
    the n are those with which the attack deceived the network. profiled: frames that the profile was learned from.
    deviation: (n, columns) float32, as of `Verdicts`; None where it was not kept. drive_names: of the drives by number.
    """

    status: np.ndarray
    score: np.ndarray
    threshold: np.ndarray
    prediction: np.ndarray
    label: np.ndarray | None = None
    drives: np.ndarray | None = None
    name: str = CLEAN
    kind: str = CLEAN
    severity: int | None = None
    unread: int = 0
    tried: int | None = None
    profiled: int = 0
    deviation: np.ndarray | None = None
    drive_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.status)

    @property
    def alarm(self) -> np.ndarray:
        """Whether the monitor acts, (n,) bool: by its own verdict, with the threshold of each class."""
        flagged: np.ndarray = self.status >= Status.ALARM
        return flagged

    @property
    def margin(self) -> np.ndarray:
        """By what frames are ranked, (n,) float64: how far the score is above the threshold of the frame's class.

        With one threshold for all it ranks as the score does. Above 0 is an alarm, whatever the thresholds. A frame
        that could not be judged, FAULT or STALE, and a score that is no number are +inf: nothing is dropped.
        """
        with np.errstate(invalid="ignore"):
            above = self.score - self.threshold
        above[np.isnan(above) | (self.status > Status.ALARM)] = np.inf
        return above

    @property
    def wrong(self) -> np.ndarray | None:
        """Whether the network errs, (n,) bool; of frames without a label it does not. None without labels."""
        return None if self.label is None else (self.label >= 0) & (self.prediction != self.label)

    def with_faults(self, count: int) -> JudgedSet:
        """The same with so many more frames that are FAULT, as they cannot be read.

        Its drives are None: whoever counts by drive says of which these frames are.
        """
        if not count:
            return self

        def more(values: np.ndarray, value: Any) -> np.ndarray:
            return np.append(values, np.full(count, value, values.dtype))

        return replace(
            self,
            status=more(self.status, Status.FAULT),
            score=more(self.score, np.inf),
            threshold=more(self.threshold, np.nan),
            prediction=more(self.prediction, -1),
            label=None if self.label is None else more(self.label, -1),
            deviation=None
            if self.deviation is None
            else np.pad(self.deviation, ((0, count), (0, 0)), constant_values=np.inf),
            drives=None,
            drive_names=(),
        )


def judge_set(
    monitor: Monitor,
    batches: Batches,
    *,
    labelled: bool = True,
    drives: Any = None,
    progress: Progress | None = None,
    may_be_empty: bool = False,
    **facts: Any,
) -> JudgedSet:
    """Show a set to a calibrated monitor, in one pass and bounded memory: of each frame a few numbers are kept.

    batches: as for `Monitor.profile`, with labels or without. labelled: whether labels are the network's classes; those
    of other sets, and of places, are left alone. drives: as for `Monitor.calibrate`. progress: called with the number
    of frames seen. may_be_empty: whether a set without a frame is one, as where an attack never succeeds. facts: other
    fields of a `JudgedSet`, such as its name.
    Raises NotReadyError before `calibrate`; ValueError for no frame, for labels of other classes and other than a drive
    a frame; whatever the network raises.
    """
    network, digests = monitor.network, monitor.learned.digests
    parts: list[tuple[np.ndarray, ...]] = []
    profiled = done = 0
    network.reset()
    for frames, given in batches_of(batches, network):
        verdicts = monitor.check(frames)[1]
        n = len(verdicts)
        label = np.full(n, -1)
        if labelled and given is not None and network.classes is not None:
            label = check_labels(given, n, network.classes, network.map_classes)
        profiled += int(np.count_nonzero(digests.among(digests_of(frames))[0]))
        kept = verdicts.status, verdicts.score, verdicts.threshold, verdicts.prediction, label.astype(np.int64)
        parts.append((*kept, verdicts.deviation))
        done += n
        if progress is not None:
            progress(done)
    if not done:
        if not may_be_empty:
            raise ValueError(f"{facts.get('name', CLEAN)}: expected at least one frame, got none")
        none = np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
        parts = [(*none, np.empty((0, len(monitor.columns)), np.float32))]
    status, score, threshold, prediction, label, deviation = (np.concatenate(part) for part in zip(*parts, strict=True))
    of_drives = {} if drives is None else named_drives(drives, done)
    return JudgedSet(
        status, score, threshold, prediction, None if (label < 0).all() else label, profiled=profiled,
        deviation=deviation, **of_drives, **facts,
    )  # fmt: skip


def named_drives(drives: Any, n: int) -> dict[str, Any]:
    """The fields `drives` and `drive_names` of a set of n frames. Raises ValueError for other than a drive a frame."""
    given = np.asarray(drives)
    if given.ndim not in (1, 2) or len(given) != n:
        raise ValueError(f"expected the drive of each of {n:,} frames, got shape {given.shape}")
    numbers = numbered(given)
    _, first = np.unique(numbers, return_index=True)
    names = [" ".join(map(str, np.atleast_1d(given[i]).tolist())) for i in first]
    return {"drives": numbers, "drive_names": tuple(names)}
