"""How a threshold is set: held-out deviations become scales and thresholds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .calibration import (
    LEAK,
    LEAST_FOR_LEAK,
    Calibration,
    auroc,
    check_rate,
    clopper_pearson,
    needed_samples,
    thresholds_by_class,
)
from .errors import CalibrationError, warn
from .logic import Logic
from .profile import Profile


class HeldOut(NamedTuple):
    """Held-out frames as the judge saw them.

    deviations: (n, columns) float32. predictions: (n,) int64. sure: (n,) bool, whether the network was as sure as of
    trusted frames. covered: (n,) bool, whether the classes seen are. with_rows: (n,) bool, whether there were rows at
    every tap, and trusted ones of the class; left out, there were.
    """

    deviations: np.ndarray
    predictions: np.ndarray
    sure: np.ndarray
    covered: np.ndarray
    with_rows: np.ndarray | None = None


def check_rates(rate: float, warning_rate: float | None) -> None:
    """Raise ValueError unless 0 < rate < warning_rate < 1."""
    check_rate(rate)
    if warning_rate is not None and not rate < warning_rate < 1:
        raise ValueError(f"expected a warning rate above {rate:g} and below 1, got {warning_rate!r}")


def calibrate(
    profile: Profile, logic: Logic, held_out: HeldOut, rate: float, *, per_class: bool, warning_rate: float | None
) -> Calibration:
    """Split conformal: every other frame sets the scales of the logic, the rest the threshold; see `Monitor.calibrate`.

    Raises CalibrationError naming the number of frames needed. Warns of frames left out and of a profile that tells its
    own data from held-out data.
    """
    groups = np.array([column.group for column in profile.columns])
    deviations, predictions, sure, covered, with_rows = held_out
    finite = np.isfinite(deviations).all(axis=1)
    covered = covered & (finite | (profile.trusted.per_class[predictions] > 0))  # nothing to compare with is no NaN
    empty = np.zeros_like(covered) if with_rows is None else covered & ~finite & ~with_rows
    excluded = {
        "predicted as a class without enough trusted frames": int((~covered).sum()),
        "NaN or Inf": int((covered & ~finite & ~empty).sum()),
    }
    if empty.any():
        excluded["without rows at a tap"] = int(empty.sum())
    for reason, count in excluded.items():
        if count:
            warn(f"{count} of {len(finite)} held-out frames were left out: {reason}")
    kept = covered & finite
    always = int((~kept).sum())
    deviations, predictions, sure = deviations[kept], predictions[kept], sure[kept]
    learning = np.arange(len(deviations)) % 2 == 0 if logic.learns else np.zeros(len(deviations), bool)
    n = int((~learning).sum())
    needed = needed_samples(rate)
    if n < needed:
        share = "; half of the frames go to the scales of the logic" if logic.learns else ""
        raise CalibrationError(
            f"expected at least {needed * (2 if logic.learns else 1)} held-out frames for a false-alarm rate"
            f" of {rate:g}, got {len(deviations)}{share}; give more, or ask for a higher rate"
        )
    scales = logic.fit(deviations[learning], groups)
    scores = logic.score(scales, deviations[~learning], groups)
    by_class = predictions[~learning], len(profile.trusted.covered)
    thresholds, own = thresholds_by_class(scores, *by_class, rate, per_class)
    warning = None
    if warning_rate is not None:
        warning, _ = thresholds_by_class(scores, *by_class, warning_rate, per_class)
    excluded_here = round(always * n / max(len(deviations), 1))
    false_alarms = int((scores > thresholds[predictions[~learning]]).sum()) + excluded_here
    judged = n + excluded_here
    leak = None
    if profile.trusted.probe is not None:
        probes = logic.score(scales, profile.trusted.probe, groups)
        leak = _leak(profile, probes[np.isfinite(probes)], scores[sure[~learning]])
    return Calibration(
        rate,
        thresholds,
        own,
        judged,
        int(learning.sum()),
        false_alarms / judged,
        clopper_pearson(false_alarms, judged),
        leak,
        np.quantile(deviations, 1 - rate, axis=0, method="higher").astype(np.float32),
        scales,
        excluded,
        warning_rate,
        warning,
        scores,
        by_class[0],
    )


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
