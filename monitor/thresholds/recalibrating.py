"""A threshold set anew in the field: on frames that a guard believed clean, with those it flagged counted above it.

Frames that were flagged are missing among those kept, and are never learned from: one of them may be the hazard that
the monitor is for. A quantile of the kept ones alone would lower the threshold each time, and after some rounds half of
all frames would alarm. So every flagged frame of the same time counts as one above any threshold, and a threshold is
only lowered where the share flagged is below the rate asked for by more than chance. It is never raised: where too many
are flagged, somebody has to look at them. This rule is our own; the quantile is that of split conformal prediction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..calibration import Calibration, check_rate, clopper_pearson, conformal_threshold, needed_samples
from ..data.changes import RECALIBRATED
from ..data.groups import groups_of
from ..errors import CalibrationError, MismatchError
from ..logic import Logic
from ..profile import Profile

MOST_FAULTS = 0.001
"""The share of frames of a log that may be FAULT or STALE."""
_ROUNDING = 1e-6


class KeptFrames(NamedTuple):
    """Frames that guards kept as believed clean, and what else came in the same time; see `read_kept`.

    deviations: (n, columns) float32. predictions: (n,) int64. scores, thresholds: (n,) float64, as judged then. clean,
    flagged: how many frames were believed clean, of which the n are a sample, and how many were above their threshold.
    frames, broken: all of the same runs, and those that were FAULT or STALE. drifted: whether a drift test rejected.
    networks, profiles: their SHA-256, as the headers of the logs have them.
    """

    deviations: np.ndarray
    predictions: np.ndarray
    scores: np.ndarray
    thresholds: np.ndarray
    clean: int
    flagged: int
    frames: int
    broken: int
    drifted: bool
    networks: frozenset[str]
    profiles: frozenset[str]


class Recalibration(NamedTuple):
    """What came of it. changed: whether the threshold is another one. said: why, in words."""

    calibration: Calibration
    changed: bool
    said: str


def recalibrate(
    profile: Profile, logic: Logic, calibration: Calibration, kept: KeptFrames, rate: float | None, sha256: str
) -> Recalibration:
    """The calibration on frames from the field, that of before where its threshold holds. See `Monitor.recalibrate`.

    sha256: of the profile file that the guards must have loaded, empty for one that was never saved.
    Raises MismatchError for logs of another network or profile, CalibrationError for frames that cannot tell.
    """
    rate = calibration.false_alarm_rate if rate is None else rate
    check_rate(rate)
    _refuse_others(profile, logic, calibration, kept, sha256)
    n = len(kept.scores)
    _refuse_few(kept, rate)
    flagged = round(kept.flagged * n / kept.clean)  # of as many frames as the kept ones are a sample of
    share, (low, high) = flagged / (n + flagged), clopper_pearson(flagged, n + flagged)
    seen = f"{kept.flagged:,} of {kept.clean + kept.flagged:,} frames were flagged: {share:.4g}"
    seen += f" (95 % interval {low:.4g} to {high:.4g})"
    if low > rate or kept.drifted:
        drift = "; the drift test of the guard rejected" if kept.drifted else ""
        raise CalibrationError(
            f"expected at most the rate of {rate:g} among the frames of the log, got more: {seen}{drift}; look at the"
            " frames that were flagged: where they are hazards the threshold is right, where the camera or the place"
            " has changed calibrate on new held-out frames, or ask for a higher rate"
        )
    if high >= rate:
        return Recalibration(
            calibration, changed=False, said=f"the threshold holds: {seen}, and {rate:g} was asked for"
        )
    above = np.full(flagged, np.inf)
    threshold = conformal_threshold(np.concatenate([kept.scores, above]), rate)
    alarms = int((kept.scores > threshold).sum()) + flagged
    warning_rate, warning = calibration.warning_rate, None
    if warning_rate is not None and warning_rate > rate:
        level = conformal_threshold(np.concatenate([kept.scores, above]), warning_rate)
        warning = np.full_like(calibration.thresholds, level)
    found = replace(
        calibration,
        false_alarm_rate=rate,
        thresholds=np.full_like(calibration.thresholds, threshold),
        own=np.zeros_like(calibration.own),
        n=n + flagged,
        realised=alarms / (n + flagged),
        interval=clopper_pearson(alarms, n + flagged),
        leak=None,
        excluded={"flagged by the guard": flagged},
        warning_rate=None if warning is None else warning_rate,
        warning_thresholds=warning,
        scores=kept.scores,
        predictions=np.maximum(kept.predictions, 0),
        drives=None,
        raised=None,
        group_confidence=None,
        set_by=RECALIBRATED,
    )
    return Recalibration(found, changed=True, said=f"{seen}, where {rate:g} was asked for")


def _refuse_others(profile: Profile, logic: Logic, calibration: Calibration, kept: KeptFrames, sha256: str) -> None:
    """Raise MismatchError unless the frames were judged by this network, profile, logic and threshold."""
    differences = [
        f"{what}: expected {_short(mine)}, got {', '.join(map(_short, sorted(theirs))) or 'none'}"
        for what, mine, theirs in (
            ("network", profile.facts.fingerprint, kept.networks),
            ("profile", sha256, kept.profiles),
        )
        if theirs != {mine}
    ]
    if kept.deviations.ndim != 2 or kept.deviations.shape[1] != len(profile.columns):
        differences.append(f"columns: expected {len(profile.columns)}, got shape {kept.deviations.shape}")
    if differences:
        raise MismatchError(
            f"expected the log of a guard with this profile, got another: {'; '.join(differences)};"
            " a profile that was calibrated since then is another one: give logs of guards that loaded this file"
        )
    if (calibration.thresholds != calibration.thresholds[0]).any():
        raise CalibrationError(
            "expected one threshold for all classes, got several: how many frames of each class were flagged is not"
            " kept; calibrate on held-out frames with per_class=True"
        )
    groups = groups_of(profile.columns)
    # A log holds no maps, so that the scores of a logic of places cannot be had again.
    again = kept.scores if logic.of_places else logic.score(calibration.scales, kept.deviations, groups)
    if (kept.thresholds != calibration.thresholds[0]).any():
        raise MismatchError("expected frames judged by the threshold of this profile, got others")
    if not np.allclose(again, kept.scores, rtol=_ROUNDING, atol=_ROUNDING):
        raise MismatchError(
            "expected frames with the scores that their deviations give, got others; was the log altered?"
        )
    classes = len(calibration.thresholds)
    if len(kept.predictions) and not -1 <= kept.predictions.min() <= kept.predictions.max() < classes:
        raise MismatchError(f"expected classes below {classes}, got {kept.predictions.max()}")


def _refuse_few(kept: KeptFrames, rate: float) -> None:
    """Raise CalibrationError for too few frames, too few that differ, and runs that were broken."""
    n, needed = len(kept.scores), needed_samples(rate)
    if n < needed:
        raise CalibrationError(
            f"expected at least {needed} frames that were kept as believed clean for a rate of {rate:g}, got {n};"
            " give logs of longer drives, keep more of the frames (EventLog(keep_clean=), --keep-clean), or ask for a"
            " higher rate"
        )
    distinct = len(np.unique(kept.deviations, axis=0))
    if distinct < min(needed, n):
        raise CalibrationError(
            f"expected at least {needed} kept frames that differ, got {distinct} distinct of {n}; look for a frozen"
            " camera"
        )
    if kept.broken > MOST_FAULTS * kept.frames:
        raise CalibrationError(
            f"expected runs without faults, got {kept.broken:,} frames of {kept.frames:,} that were FAULT or STALE; see"
            " what broke, and use the log of a run that was whole"
        )


def _short(digest: str) -> str:
    return f"{digest[:12]}…" if digest else "none (not saved)"
