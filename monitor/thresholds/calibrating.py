"""How a threshold is set: held-out deviations become scales and thresholds."""

from __future__ import annotations

import numpy as np

from ..calibration import (
    LEAK,
    LEAST_FOR_LEAK,
    Calibration,
    auroc,
    check_rate,
    clopper_pearson,
    count_drives,
    needed_samples,
    rate_seen,
    sharing,
    thresholds_by_class,
)
from ..data.changes import CALIBRATED, SCALES_KEPT
from ..data.groups import groups_of
from ..errors import CalibrationError, warn
from ..logic import Logic
from ..profile import Profile
from .boxes import calibrate_boxes
from .held_out import HeldOut, SetAside, judged, numbered
from .raising import raised_where_few

FAR = 2.0
"""How many times the rate asked for the lower end of the interval of the rate seen may be."""
_CLASSES_NAMED = 5


def check_rates(rate: float, warning_rate: float | None, accept_rate: float | None = None) -> None:
    """Raise ValueError unless 0 < rate < warning_rate < 1, and accept_rate is a share."""
    check_rate(rate)
    if warning_rate is not None and not rate < warning_rate < 1:
        raise ValueError(f"expected a warning rate above {rate:g} and below 1, got {warning_rate!r}")
    if accept_rate is not None and not 0 < accept_rate <= 1:
        raise ValueError(f"expected a rate to accept above 0, up to 1, got {accept_rate!r}")


def check_groups(confidence: float | None, *, drives: bool, per_class: bool) -> None:
    """Raise ValueError for a chance that is none, and for groups beside what has another promise."""
    if confidence is None:
        return
    if not 0 < confidence < 1:
        raise ValueError(f"expected a group_confidence between 0 and 1, such as 0.9, got {confidence!r}")
    if drives or per_class:
        raise ValueError(
            f"expected groups alone, got {'drives' if drives else 'per_class'} too: groups set one threshold for all"
            " classes, by whole drives"
        )


def calibrate(
    profile: Profile, logic: Logic, held_out: HeldOut, rate: float, *, per_class: bool, warning_rate: float | None,
    accept_rate: float | None = None, confidence: float | None = None, before: Calibration | None = None,
    box_rate: float | None = None,
) -> Calibration:  # fmt: skip
    """Split conformal: every other frame sets the scales of the logic, the rest the threshold; see `Monitor.calibrate`.

    confidence: the chance with which the rate is to hold over a whole new drive; None where it is that of a frame.
    before: the calibration whose scales stay, so that every frame sets the threshold; None where scales are learned.
    Raises CalibrationError naming the number of frames needed, and where the frames cannot support a threshold: they
    were profiled, are the same ones again, or alarm far more often than asked. Warns of frames left out and of a
    profile that tells its own data from held-out data.
    """
    groups, learns = groups_of(profile.columns), logic.learns and before is None
    held_out, left_out = judged(profile, held_out)
    deviations, lost = held_out.deviations, left_out.lost
    numbers, of_lost = _numbers(held_out, lost, whole=confidence is not None)
    learning = numbers % 2 == 0 if learns else np.zeros(len(numbers), bool)
    setting = held_out.where(~learning)
    _refuse_few(profile, held_out, left_out, rate, confidence, learns=learns)
    excluded = left_out.by_reason()
    scales = logic.fit(held_out.judged[learning], groups) if before is None else before.scales
    scores, predictions = logic.score(scales, setting.judged, groups), setting.predictions
    if len(scores) > 1 and scores.min() == scores.max():
        raise CalibrationError(
            f"expected held-out frames with different scores, got {scores[0]:.4g} for each of {len(scores)}: a"
            " threshold there tells nothing apart; look at what the frames show, or profile with criteria and taps that"
            " tell frames apart"
        )
    leak = None
    if profile.trusted.probe is not None and before is None and held_out.grids is None:
        probes = logic.score(scales, profile.trusted.probe, groups)
        leak = _leak(profile, probes[np.isfinite(probes)], scores[setting.sure])
    raised = before.raised if before is not None and per_class else None
    if per_class and raised is None:  # by what no frame of the threshold tells
        of_scales = logic.score(scales, held_out.judged[learning], groups)
        raised = raised_where_few(of_scales, held_out.predictions[learning], profile.trusted.per_class)
    counted = len(scores) + round(len(lost.predictions) * len(scores) / max(len(deviations), 1))
    drives = None if held_out.drives is None else numbered(numbers[~learning])
    if confidence is not None:  # over a whole drive, frames that alarm whatever the threshold are some of it
        also = of_lost % 2 == 1 if learns else np.ones(len(of_lost), bool)
        scores = np.append(scores, np.full(int(also.sum()), np.inf))
        predictions = np.append(predictions, lost.predictions[also])
        drives, counted = numbered(np.append(numbers[~learning], of_lost[also])), len(scores)
    by_class = predictions, len(profile.trusted.covered)
    thresholds, own = thresholds_by_class(scores, *by_class, rate, per_class, drives, raised, confidence)
    warning = None
    if warning_rate is not None:
        warning, _ = thresholds_by_class(scores, *by_class, warning_rate, per_class, drives, raised, confidence)
    if accept_rate is None:
        together = np.ones(len(scores), bool) if raised is None else sharing(predictions, own, rate, drives)
        _refuse_highest(profile, scores, predictions, thresholds, own, together, rate, drives)
    realised, interval = rate_seen(scores > thresholds[predictions], counted, drives)
    if interval[0] > FAR * rate and not (accept_rate is not None and realised <= accept_rate):
        seen = f"{realised:.4g} on {counted:,} held-out frames (95 % interval {interval[0]:.4g} to {interval[1]:.4g})"
        raise CalibrationError(_far(profile, left_out, rate, seen, realised))
    found = Calibration(
        rate,
        thresholds,
        own,
        counted,
        int(learning.sum()) if before is None else before.n_scales,
        realised,
        interval,
        leak,
        np.quantile(deviations, 1 - rate, axis=0, method="higher").astype(np.float32),
        scales,
        excluded,
        warning_rate,
        warning,
        scores,
        predictions,
        drives,
        raised,
        confidence,
        CALIBRATED if before is None else SCALES_KEPT,
        boxes=_of_boxes(profile, held_out, lost, box_rate or rate, confidence, before),
    )
    _warn_of_classes(profile, found, per_class)
    return found


def _of_boxes(
    profile: Profile, held_out: HeldOut, lost: HeldOut, rate: float, confidence: float | None,
    before: Calibration | None,
) -> Calibration | None:  # fmt: skip
    """The calibration of the detections in all frames that are new, also in those that alarm whatever the threshold."""
    if profile.boxes is None or held_out.boxes is None or lost.boxes is None:
        return None
    frames, drives = [*held_out.boxes, *lost.boxes], np.arange(len(held_out.boxes) + len(lost.boxes))
    if held_out.drives is not None and lost.drives is not None:
        drives = np.append(held_out.drives, lost.drives)
    minimum, of_before = profile.trusted.minimum_per_class, None if before is None else before.boxes
    return calibrate_boxes(profile.boxes, minimum, frames, drives, rate, confidence, of_before)


def _numbers(held_out: HeldOut, lost: HeldOut, *, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """What every other one of goes to the scales: the number of each frame or of its drive, and that of those lost."""
    if held_out.drives is None or lost.drives is None:
        return np.arange(len(held_out.predictions)), np.zeros(0, np.int64)
    numbers = numbered(np.append(held_out.drives, lost.drives) if whole else held_out.drives)
    return numbers[: len(held_out.predictions)], numbers[len(held_out.predictions) :]


def _warn_of_classes(profile: Profile, found: Calibration, per_class: bool) -> None:
    """Warn of classes that alarm too often."""
    classes = found.too_often()
    if not classes:
        return
    named = [
        f"{profile.class_name(one.class_index)} {one.alarms:,} of {one.frames:,} frames"
        f" (95 % interval {one.interval[0]:.2g} to {one.interval[1]:.2g})"
        for one in classes[:_CLASSES_NAMED]
    ]
    more = f", and {len(classes) - _CLASSES_NAMED} more" if len(classes) > _CLASSES_NAMED else ""
    own = "" if per_class else (
        ", or let thresholds differ between classes: per_class=True (--per-class)"
    )  # fmt: skip
    warn(
        f"{len(classes)} of {len(found.thresholds)} classes alarm far more often than the {found.false_alarm_rate:g}"
        f" asked for: {', '.join(named)}{more}; profile more frames of them{own}",
        calls=2,
    )


def _refuse_few(
    profile: Profile, kept: HeldOut, left_out: SetAside, rate: float, confidence: float | None, *, learns: bool
) -> None:  # fmt: skip
    """Raise CalibrationError for fewer frames than a rate needs, or fewer that differ, and for fewer drives."""
    whose = "frames" if kept.drives is None else "drives"
    needed = needed_samples(rate if confidence is None else 1 - confidence) * (2 if learns else 1)
    share = f"; half of the {whose} go to the scales of the logic" if learns else ""
    again = left_out.again
    others = left_out.in_words(profile)
    without = f" that count; left out were {others}" if others else ""
    if confidence is None:
        n, distinct = len(kept.predictions) + again, len(np.unique(kept.digests))
        if n < needed:
            todo = "give more, or ask for a higher rate"
            if n + len(left_out.lost.predictions) >= needed:
                todo = f"with these there would be enough: {left_out.todo}"
            raise CalibrationError(
                f"expected at least {needed} held-out frames for a false-alarm rate of {rate:g},"
                f" got {n}{without}{share}; {todo}"
            )
        if distinct < needed:
            raise CalibrationError(
                f"expected at least {needed} held-out frames that differ for a false-alarm rate of {rate:g}, got"
                f" {distinct} distinct of {n}{share}; look for a frozen camera or files that were copied, and give"
                " other frames"
            )
    if kept.drives is None:
        return
    drives = count_drives(kept.drives)
    if drives < needed and confidence is None:
        raise CalibrationError(
            f"expected frames of at least {needed} held-out drives for a false-alarm rate of {rate:g}, got"
            f" {drives}{without}{share}; give more drives, ask for a higher rate, or leave out drives= (--by-drive),"
            " which keeps the rate for frames drawn one by one, and not on every new drive"
        )
    if drives < needed:
        raise CalibrationError(
            f"expected frames of at least {needed} held-out drives for a chance of {confidence:g} that the rate holds"
            f" over a whole new one, got {drives}{without}{share}; give more drives, or ask for a lower"
            " group_confidence (--group-confidence)"
        )


def _refuse_highest(
    profile: Profile, scores: np.ndarray, predictions: np.ndarray, thresholds: np.ndarray, own: np.ndarray,
    together: np.ndarray, rate: float, drives: np.ndarray | None,
) -> None:  # fmt: skip
    """Raise CalibrationError for a threshold that is the highest score of so many frames that it tells nothing apart.

    So it is where scores cannot rise any more: all neurons of a tap are outside their ranges, and no frame can alarm.
    """
    groups = [("", together)] if not own.all() else []
    groups += [(f" of {profile.class_name(c)}", predictions == c) for c in np.flatnonzero(own).tolist()]
    above = scores > thresholds[predictions]
    for whose, where in groups:
        these, counted = scores[where], int(where.sum()) if drives is None else count_drives(drives[where])
        if not above[where].any() and clopper_pearson(0, counted)[1] * FAR < rate:
            raise CalibrationError(
                f"expected about {rate:g} of the held-out frames{whose} above the threshold, got none of"
                f" {len(these):,}: {int((these == these.max()).sum()):,} of them share the highest score,"
                f" {these.max():.4g}, and where it cannot rise no frame would ever alarm; profile more of what the"
                f" frames show, or with criteria and taps that tell them apart, or accept it with accept_rate={rate:g}"
                " (--accept-rate)"
            )


def _far(profile: Profile, left_out: SetAside, rate: float, seen: str, realised: float) -> str:
    """What to say of a rate that is far from the one asked for."""
    reasons = [f"{count:,} were left out and always alarm: {why}" for why, count in left_out.always.items()]
    if len(left_out.uncovered.predictions):
        reasons[0] += f" ({left_out.classes(profile)})"
    return (
        f"expected a rate of false alarms near the {rate:g} asked for, got {seen}; {'; '.join(reasons)};"
        f" {left_out.todo}, or accept the rate with accept_rate={_rounded_up(realised)} (--accept-rate)"
    )


def _rounded_up(share: float) -> float:
    return min(1.0, float(np.ceil(share * 100)) / 100)


def _leak(profile: Profile, probes: np.ndarray, alike: np.ndarray) -> float | None:
    """AUROC of the scores of profiled against held-out frames, None for too few; warns where they are told apart."""
    if min(len(probes), len(alike)) < LEAST_FOR_LEAK:
        return None
    leak = auroc(probes, alike)
    if leak > LEAK:
        fewer = ""
        if any(tap.neurons == "unit" and len(tap.shape) > 1 for tap in profile.facts.taps):
            fewer = ', or leave out the units: give the network taps="auto"'
        warn(
            f"the profile tells its own data from held-out data: AUROC {leak:.3f}, expected at most {LEAK};"
            f" profile more samples{fewer}",
            calls=2,
        )
    return leak
