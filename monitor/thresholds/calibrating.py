"""How a threshold is set: held-out deviations become scales and thresholds."""

from __future__ import annotations

from typing import NamedTuple

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
    raised_where_few,
    rate_seen,
    sharing,
    thresholds_by_class,
)
from ..data.digests import digests_of
from ..data.groups import groups_of
from ..errors import CalibrationError, warn
from ..logic import Logic
from ..profile import Profile

MOST_PROFILED = 0.1
"""The share of held-out frames that may have been profiled; they are left out. A larger one is no held-out set."""
FAR = 2.0
"""How many times the rate asked for the lower end of the interval of the rate seen may be."""
_NOT_COVERED = "predicted as a class without enough trusted frames"
_BROKEN = "NaN or Inf"
_WITHOUT_ROWS = "without rows at a tap"
_PROFILED = "learned from by the profile"
_AGAIN = "the same as one before"
_CLASSES_NAMED = 5


class HeldOut(NamedTuple):
    """Held-out frames as the judge saw them.

    deviations: (n, columns) float32. predictions: (n,) int64. sure: (n,) bool, whether the network was as sure as of
    trusted frames. uncovered: (n,) int64, the class of the frame or of one of its places that is not covered, or -1.
    digests: (n,) uint64, see `digests_of`. with_rows: (n,) bool, whether there were rows at every tap, and trusted ones
    of the class. drives: (n,) int64, the drive of each frame, counted from 0 as they come; None where each counts.
    grids: (n, columns, height, width) float32, what a logic of places judges in place of the deviations.
    """

    deviations: np.ndarray
    predictions: np.ndarray
    sure: np.ndarray
    uncovered: np.ndarray
    digests: np.ndarray
    with_rows: np.ndarray
    drives: np.ndarray | None = None
    grids: np.ndarray | None = None

    def where(self, mask: np.ndarray) -> HeldOut:
        """Those of a mask (n,) bool."""
        return self._replace(**{name: part[mask] for name, part in self._asdict().items() if part is not None})


def check_rates(rate: float, warning_rate: float | None, accept_rate: float | None = None) -> None:
    """Raise ValueError unless 0 < rate < warning_rate < 1, and accept_rate is a share."""
    check_rate(rate)
    if warning_rate is not None and not rate < warning_rate < 1:
        raise ValueError(f"expected a warning rate above {rate:g} and below 1, got {warning_rate!r}")
    if accept_rate is not None and not 0 < accept_rate <= 1:
        raise ValueError(f"expected a rate to accept above 0, up to 1, got {accept_rate!r}")


def calibrate(
    profile: Profile, logic: Logic, held_out: HeldOut, rate: float, *, per_class: bool, warning_rate: float | None,
    accept_rate: float | None = None,
) -> Calibration:  # fmt: skip
    """Split conformal: every other frame sets the scales of the logic, the rest the threshold; see `Monitor.calibrate`.

    Raises CalibrationError naming the number of frames needed, and where the frames cannot support a threshold: they
    were profiled, are the same ones again, or alarm far more often than asked. Warns of frames left out and of a
    profile that tells its own data from held-out data.
    """
    groups = groups_of(profile.columns)
    fresh = _not_profiled(profile, held_out)
    profiled = int((~fresh).sum())
    held_out = held_out.where(fresh)
    again = _again(held_out)
    held_out = held_out.where(~again)
    deviations, predictions, sure, uncovered, digests, with_rows, drives, grids = held_out
    covered = uncovered < 0
    finite = np.isfinite(deviations).all(axis=1)
    covered &= finite | (profile.trusted.per_class[predictions] > 0)  # nothing to compare with is no NaN
    empty = covered & ~finite & ~with_rows
    excluded = {_NOT_COVERED: int((~covered).sum()), _BROKEN: int((covered & ~finite & ~empty).sum())}
    if empty.any():
        excluded[_WITHOUT_ROWS] = int(empty.sum())
    if profiled:
        excluded[_PROFILED] = profiled
    for reason, count in excluded.items():
        if count:
            warn(f"{count} of {len(fresh)} held-out frames were left out: {reason}")
    kept = covered & finite
    always = int((~kept).sum())
    deviations, predictions, sure = deviations[kept], predictions[kept], sure[kept]
    one_by_one = np.arange(len(deviations)) if drives is None else numbered(drives[kept])
    learning = one_by_one % 2 == 0 if logic.learns else np.zeros(len(deviations), bool)
    n = int((~learning).sum())
    n_again = int(again.sum())
    _refuse_too_few(rate, len(deviations) + n_again, len(np.unique(digests[kept])), always, learns=logic.learns)
    if drives is not None:
        _refuse_few_drives(rate, count_drives(one_by_one), learns=logic.learns)
        drives = numbered(one_by_one[~learning])
    if n_again:
        excluded[_AGAIN] = n_again
        warn(f"{n_again} of {len(fresh)} held-out frames were left out: {_AGAIN}")
    judged = deviations if grids is None else grids[kept]
    scales = logic.fit(judged[learning], groups)
    scores = logic.score(scales, judged[~learning], groups)
    if n > 1 and scores.min() == scores.max():
        raise CalibrationError(
            f"expected held-out frames with different scores, got {scores[0]:.4g} for each of {n}: a threshold there"
            " tells nothing apart; look at what the frames show, or profile with criteria and taps that tell frames"
            " apart"
        )
    by_class, raised = (predictions[~learning], len(profile.trusted.covered)), None
    if per_class:  # nothing is raised where no frames but those of the threshold tell by how much
        of_scales = logic.score(scales, judged[learning], groups)
        raised = raised_where_few(of_scales, predictions[learning], profile.trusted.per_class)
    thresholds, own = thresholds_by_class(scores, *by_class, rate, per_class, drives, raised)
    warning = None
    if warning_rate is not None:
        warning, _ = thresholds_by_class(scores, *by_class, warning_rate, per_class, drives, raised)
    if accept_rate is None:
        together = np.ones(len(scores), bool) if raised is None else sharing(by_class[0], own, rate, drives)
        _refuse_highest(profile, scores, by_class[0], thresholds, own, together, rate, drives)
    judged = n + round(always * n / max(len(deviations), 1))
    realised, interval = rate_seen(scores > thresholds[predictions[~learning]], judged, drives)
    if interval[0] > FAR * rate and not (accept_rate is not None and realised <= accept_rate):
        seen = f"{realised:.4g} on {judged:,} held-out frames (95 % interval {interval[0]:.4g} to {interval[1]:.4g})"
        raise CalibrationError(_far(profile, held_out.where(~covered), excluded, rate, seen, realised))
    leak = None
    if profile.trusted.probe is not None and grids is None:  # no grids of profiled frames are kept
        probes = logic.score(scales, profile.trusted.probe, groups)
        leak = _leak(profile, probes[np.isfinite(probes)], scores[sure[~learning]])
    found = Calibration(
        rate,
        thresholds,
        own,
        judged,
        int(learning.sum()),
        realised,
        interval,
        leak,
        np.quantile(deviations, 1 - rate, axis=0, method="higher").astype(np.float32),
        scales,
        excluded,
        warning_rate,
        warning,
        scores,
        by_class[0],
        drives,
        raised,
    )
    _warn_of_classes(profile, found, per_class)
    return found


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


def _not_profiled(profile: Profile, held_out: HeldOut) -> np.ndarray:
    """Which of the frames the profile was not learned from, (n,) bool.

    Raises CalibrationError where a larger share than `MOST_PROFILED` was.
    """
    if not len(profile.digests.values):
        warn(
            "the profile is of an older version: it cannot be told whether it was learned from some of the held-out"
            " frames",
            calls=2,
        )
    profiled, share = profile.digests.among(held_out.digests)
    if share > MOST_PROFILED:
        n = len(profiled)
        raise CalibrationError(
            f"expected held-out frames that the profile has not seen, got {round(share * n):,} of {n:,} that it was"
            " learned from; its score is low on those, and the threshold would be too low on all others: split the"
            " data before you profile, and calibrate on the other part"
        )
    return ~profiled


def _again(held_out: HeldOut) -> np.ndarray:
    """Which of the frames came before and deviated the same, (n,) bool: they tell nothing new.

    A frame that is there twice would be in both halves, that of the scales and that of the threshold. A recurrent
    network may see more in the same picture, so its deviations count too.
    """
    both = np.stack([held_out.digests, digests_of(held_out.deviations)], axis=1)
    again = np.ones(len(both), bool)
    again[np.unique(both, axis=0, return_index=True)[1]] = False
    return again


def _refuse_too_few(rate: float, n: int, distinct: int, left_out: int, *, learns: bool) -> None:
    """Raise CalibrationError for fewer frames than a rate needs, or fewer that differ. left_out: of those given."""
    needed = needed_samples(rate) * (2 if learns else 1)
    share = "; half of the frames go to the scales of the logic" if learns else ""
    if n < needed:
        todo = "give more, or ask for a higher rate"
        if n + left_out >= needed:
            todo = f"with the {left_out:,} that were left out there would be enough: a warning says why they were"
        raise CalibrationError(
            f"expected at least {needed} held-out frames for a false-alarm rate of {rate:g}, got {n}{share}; {todo}"
        )
    if distinct < needed:
        raise CalibrationError(
            f"expected at least {needed} held-out frames that differ for a false-alarm rate of {rate:g}, got"
            f" {distinct} distinct of {n}{share}; look for a frozen camera or files that were copied, and give other"
            " frames"
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


def _refuse_few_drives(rate: float, drives: int, *, learns: bool) -> None:
    """Raise CalibrationError for fewer drives than a rate needs."""
    needed = needed_samples(rate) * (2 if learns else 1)
    if drives < needed:
        share = "; half of them go to the scales of the logic" if learns else ""
        raise CalibrationError(
            f"expected frames of at least {needed} held-out drives for a false-alarm rate of {rate:g}, got {drives}"
            f"{share}; give more drives, ask for a higher rate, or leave out drives= (--by-drive), which keeps the rate"
            " for frames drawn one by one, and not on every new drive"
        )


def numbered(drives: np.ndarray) -> np.ndarray:
    """The drives of frames, (n,) or (n, any), as numbers from 0 in the order in which they come: (n,) int64."""
    axis = 0 if drives.ndim > 1 else None
    _, first, number = np.unique(drives, axis=axis, return_index=True, return_inverse=True)
    place: np.ndarray = np.argsort(np.argsort(first))[number.reshape(-1)]
    return place.astype(np.int64)


def _far(
    profile: Profile, uncovered: HeldOut, excluded: dict[str, int], rate: float, seen: str, realised: float
) -> str:  # fmt: skip
    """What to say of a rate that is far from the one asked for. uncovered: the frames of classes not covered."""
    always = {why: count for why, count in excluded.items() if count and why not in (_PROFILED, _AGAIN)}
    reasons = [f"{count:,} were left out and always alarm: {why}" for why, count in always.items()]
    todo = "look at these frames"
    if len(uncovered.uncovered):
        counts = np.bincount(np.where(uncovered.uncovered < 0, uncovered.predictions, uncovered.uncovered))
        often = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        named = ", ".join(f"{profile.class_name(c)}: {counts[c]:,}" for c in often[:_CLASSES_NAMED])
        reasons[0] += f" ({named}{', …' if len(often) > _CLASSES_NAMED else ''})"
        todo = "profile more frames of these classes, or profile with a lower minimum_per_class"
    return (
        f"expected a rate of false alarms near the {rate:g} asked for, got {seen}; {'; '.join(reasons)}; {todo},"
        f" or accept the rate with accept_rate={_rounded_up(realised)} (--accept-rate)"
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
