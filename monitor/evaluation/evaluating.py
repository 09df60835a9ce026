"""From what a monitor said of clean and unsafe frames to the figures of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration import auroc, count_drives
from ..data.batches import Batch, Batches, batches_of
from ..errors import warn
from ..logic import describe_logic
from ..verdict import Status
from .cost import cost_of
from .intervals import LEVEL, RESAMPLES, Estimate, selective_risk, separation
from .judged import ADAPTIVE, ATTACK, CLEAN, GIVEN, JudgedSet, Progress, judge_set
from .metrics import auroc_of, ranks, risk_coverage, roc_curve
from .results import Cost, Curve, ErrorsSeen, Evaluation, OfClass, OfColumn, OfDrive, SetResult, Share

if TYPE_CHECKING:
    from ..monitor import Monitor

RATE_FPS = 30.0
_LEAST_OF_CLASS = 20


def evaluate(
    monitor: Monitor,
    clean: Batches,
    unsafe: Mapping[str, Batches],
    *,
    labelled: Collection[str] = (),
    drives: Mapping[str, Any] | None = None,
    rate_fps: float = RATE_FPS,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """How well a calibrated monitor tells unsafe frames from clean ones, with its own thresholds.

    clean: frames like the trusted ones, which neither the profile nor the threshold has seen, as for `Monitor.profile`.
    With labels the network's errors count too. unsafe: sets by name. labelled: those of them whose labels are of the
    network's classes; the labels of others are left alone. drives: by the name of a set, ``clean`` for the clean one,
    which drive each frame is of, as for `Monitor.calibrate`; intervals then count drives. rate_fps: for the false
    alarms an hour. resamples, level, seed: of the bootstrap intervals. progress: called with the frames seen so far.

    What is flagged is what `Verdicts.alarm` says. FAULT is flagged and ranks highest, WARN is no alarm. See
    `JudgedSet.margin` for how frames are ranked. Memory is bounded: of a frame a few numbers are kept.
    Raises NotReadyError before `calibrate`, ValueError for names that are none of a set and as `judge_set` does.
    Warns where clean frames are among those that the profile was learned from.
    """
    drives = drives or {}
    if CLEAN in unsafe:
        raise ValueError(f"expected another name than {CLEAN!r} for an unsafe set, got it")
    if strange := sorted({*labelled, *drives} - {CLEAN, *unsafe}):
        raise ValueError(f"expected names of sets, {', '.join([CLEAN, *unsafe])}, got {', '.join(strange)}")
    done, first = 0, _First()

    def so_far(count: int) -> None:
        if progress is not None:
            progress(done + count)

    sets = []
    for name, data in {CLEAN: clean, **unsafe}.items():
        one = judge_set(
            monitor, first.passed(batches_of(data, monitor.network)) if name == CLEAN else data,
            labelled=name == CLEAN or name in labelled, drives=drives.get(name), progress=so_far, name=name,
            kind=CLEAN if name == CLEAN else GIVEN,
        )  # fmt: skip
        done += len(one)
        sets.append(one)
    return evaluate_sets(
        monitor, sets[0], sets[1:], rate_fps=rate_fps, resamples=resamples, level=level, seed=seed,
        cost=cost_of(monitor, first.batch),
    )  # fmt: skip


class _First:
    """Keeps the first of the batches that pass."""

    batch: Any = None

    def passed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for frames, labels in batches:
            self.batch = frames if self.batch is None else self.batch
            yield (frames, labels) if labels is not None else frames


def evaluate_sets(
    monitor: Monitor,
    clean: JudgedSet,
    unsafe: Sequence[JudgedSet],
    *,
    rate_fps: float = RATE_FPS,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
    cost: Cost | None = None,
) -> Evaluation:
    """The figures of sets that were judged by `judge_set`; see `evaluate`.

    Raises ValueError for a rate that is not above 0 and for two sets of one name.
    """
    if not rate_fps > 0:
        raise ValueError(f"expected frames a second above 0, got {rate_fps!r}")
    names = [one.name for one in (clean, *unsafe)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"expected a name of its own for each set, got {', '.join(twice)} more than once")
    if clean.profiled:
        warn(
            f"{clean.profiled:,} of {len(clean):,} clean frames are among those that the profile was learned from; the"
            " figures are too good: give frames that it has not seen",
            calls=2,
        )
    how: dict[str, Any] = {"resamples": resamples, "level": level, "seed": seed}
    class_names = monitor.learned.class_name
    columns = monitor.columns
    found = _result(clean, None, class_names, columns, how)
    per_hour = rate_fps * 3600
    low, high = found.flagged.interval
    calibration = monitor.calibration
    assert calibration is not None  # noqa: S101 (there is no verdict without)
    return Evaluation(
        found,
        tuple(_result(one, clean, class_names, columns, how) for one in unsafe),
        rate_fps,
        Estimate(found.flagged.share * per_hour, (low * per_hour, high * per_hour)),
        calibration.false_alarm_rate,
        cost,
        resamples,
        level,
        {
            "criteria": list(dict.fromkeys(repr(one.criterion) for one in monitor.learned.columns)),
            "logic": describe_logic(monitor.logic),
            "columns": list(monitor.columns),
            "thresholds": calibration.thresholds.tolist(),
            "held_out": calibration.n,
            "promise": calibration.promise,
        },
    )


def _result(
    one: JudgedSet, clean: JudgedSet | None, class_name: Any, columns: Sequence[str], how: dict[str, Any]
) -> SetResult:
    """clean: what it is held against; None for the clean set itself."""
    alarm, margin, level = one.alarm, one.margin, how["level"]
    told, roc = None, None
    if clean is not None and len(one):
        told = separation(clean.margin, margin, clean_drives=clean.drives, unsafe_drives=one.drives, **how)
        roc = Curve.of(*roc_curve(clean.margin, margin))
    return SetResult(
        one.name, one.kind, len(one), one.unread, int((one.status == Status.FAULT).sum()),
        Share.of(alarm, one.drives, level), Share.of(one.status == Status.WARN, one.drives, level),
        severity=one.severity, tried=one.tried, profiled=one.profiled,
        evaded=_evaded(one, level),
        drives=None if one.drives is None else count_drives(one.drives),
        auroc=told and told.auroc, aupr=told and told.aupr, fpr95=told and told.fpr95,
        errors=_errors(one, margin, how), by_class=_by_class(one, clean, class_name, level),
        by_drive=_by_drive(one, level), by_column=_by_column(one, clean, columns), roc=roc,
    )  # fmt: skip


def _evaded(one: JudgedSet, level: float) -> Share | None:
    """None for what is no attack."""
    attempts = len(one) if one.tried is None else one.tried
    return None if one.kind not in (ATTACK, ADAPTIVE) else Share.counted(int((~one.alarm).sum()), attempts, level)


def _errors(one: JudgedSet, margin: np.ndarray, how: dict[str, Any]) -> ErrorsSeen | None:
    """None where no frame has a label."""
    if one.label is None or one.wrong is None:
        return None
    known = one.label >= 0
    wrong, alarm, margin = one.wrong[known], one.alarm[known], margin[known]
    drives, level = None if one.drives is None else one.drives[known], how["level"]

    coverage, risk = risk_coverage(margin, wrong)

    def share(of: np.ndarray, among: np.ndarray) -> Share:
        return Share.of(of[among], None if drives is None else drives[among], level)

    return ErrorsSeen(
        share(~wrong, np.ones(len(wrong), bool)),
        share(alarm, wrong),
        share(~wrong, ~alarm),
        selective_risk(margin, wrong, drives=drives, **how),
        Curve.of(np.append(0.0, coverage), np.append(risk[0], risk)),
    )


def _by_column(one: JudgedSet, clean: JudgedSet | None, columns: Sequence[str]) -> tuple[OfColumn, ...]:
    if clean is None or clean.deviation is None or one.deviation is None or not len(one):
        return ()
    parts = zip(columns, clean.deviation.T, one.deviation.T, strict=True)
    return tuple(OfColumn(name, auroc_of(*ranks(low, high).counts())) for name, low, high in parts)


def _by_drive(one: JudgedSet, level: float) -> tuple[OfDrive, ...]:
    """Of each drive, in the order of their numbers; its interval is that of frames drawn one by one."""
    if one.drives is None:
        return ()
    of = [one.alarm[one.drives == number] for number in range(len(one.drive_names))]
    return tuple(
        OfDrive(name, len(alarm), Share.of(alarm, level=level)) for name, alarm in zip(one.drive_names, of, strict=True)
    )


def _by_class(one: JudgedSet, clean: JudgedSet | None, class_name: Any, level: float) -> tuple[OfClass, ...]:
    """Of each class that a frame was taken for."""
    found = []
    wrong, margin = one.wrong, one.margin
    for index in np.unique(one.prediction[one.prediction >= 0]).tolist():
        of = one.prediction == index
        area = None
        if clean is not None:
            others = clean.prediction == index
            if min(of.sum(), others.sum()) >= _LEAST_OF_CLASS:
                area = auroc(clean.margin[others], margin[of])
        found.append(
            OfClass(
                index, class_name(index), int(of.sum()),
                Share.of(one.alarm[of], None if one.drives is None else one.drives[of], level),
                None if wrong is None else int(wrong[of].sum()),
                None if wrong is None else int((wrong & one.alarm)[of].sum()), area,
            )
        )  # fmt: skip
    return tuple(found)
