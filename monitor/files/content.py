"""Whether what a file holds can be what was learned and calibrated, also where its digest is right.

A wrong program may have written it. Each check raises ValueError; those of the signatures are their criteria's own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..calibration import Calibration, check_rate, clopper_pearson, rate_seen, thresholds_by_class
from ..data.changes import CALIBRATED, SCALES_KEPT, Change, thresholds_of
from ..facts.network import told_apart
from ..judging.places import samples_of
from ..logic import Scales
from ..profile import Profile

_ROUNDING = 1e-9


def checked_array(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The array of that name. Raises ValueError for another shape or dtype, NaN and negative counts, KeyError."""
    array = arrays[name]
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{name}: expected numbers, got NaN")
    if array.dtype.kind == "i" and (array < 0).any():
        raise ValueError(f"{name}: expected counts, got negative numbers")
    return array


def check_trusted(profile: Profile) -> None:
    """Raise ValueError unless the frames, those trusted of each class and the samples in each column add up."""
    trusted, facts = profile.trusted, profile.facts
    accepted, others = trusted.accepted, trusted.frames - trusted.non_finite
    if not (math.isfinite(trusted.confidence) and min(trusted.non_finite, others, profile.spool.seen) >= 0):
        raise ValueError("expected counts of frames from 0 on and a confidence that is finite, got others")
    every = not trusted.labelled and trusted.per_map_class is None
    if accepted > others or (every and accepted < others) or (profile.complete and not accepted):
        least = f"{others}" if every else f"1 to {others}"
        raise ValueError(f"trusted.per_class: expected {least} trusted frames of {trusted.frames}, got {accepted}")
    of_map = trusted.per_map_class
    if of_map is not None and (of_map > accepted).any():
        raise ValueError(f"trusted.per_map_class: expected at most {accepted} frames with a class, got {of_map.max()}")
    for i, (column, signature) in enumerate(zip(profile.columns, profile.signatures, strict=True)):
        tap = facts.taps[column.tap]
        samples = samples_of(tap)
        if of_map is not None and told_apart(tap):
            wrong = (signature.counts > 0) & (of_map == 0)
        elif samples is None:
            wrong = (signature.counts > 0) & (trusted.per_class == 0)
        else:
            wrong = signature.counts != trusted.per_class * samples
        if wrong.any():
            c = int(np.flatnonzero(wrong)[0])
            frames = trusted.per_class[c] if of_map is None or not told_apart(tap) else of_map[c]
            raise ValueError(
                f"column {i} ({profile.names[i]}): class {c}: expected the samples of {frames} trusted frames,"
                f" got {signature.counts[c]}"
            )
    if trusted.probe is not None and (trusted.probe < 0).any():  # one of a class that rounding made another is +inf
        raise ValueError("trusted.probe: expected deviations that are not negative, got others")


def check_calibration(calibration: Calibration, history: tuple[Change, ...]) -> None:
    """Raise ValueError unless thresholds, rates and counts fit each other, the scores they rest on and the history."""
    _check_numbers(calibration)
    if history and history[-1].after != thresholds_of(calibration.thresholds):
        raise ValueError(f"expected the thresholds of the last change in the history, {history[-1].after}, got others")
    if calibration.scores is None or calibration.predictions is None:  # of an older file
        return
    if not history:
        raise ValueError("expected a history that says how the thresholds were set, got none")
    if history[-1].what in (CALIBRATED, SCALES_KEPT):
        _check_thresholds(calibration, calibration.scores, calibration.predictions, history[-1].rate)


def check_calibration_of_boxes(calibration: Calibration) -> None:
    """Raise ValueError unless thresholds, rates and counts fit each other and the scores of boxes they rest on."""
    if calibration.scores is None or calibration.predictions is None or calibration.drives is None:
        raise ValueError("expected the scores of boxes and the frames that they are of, got none")
    _check_numbers(calibration)
    _check_thresholds(calibration, calibration.scores, calibration.predictions, calibration.false_alarm_rate)


def _check_numbers(calibration: Calibration) -> None:
    rate, warning_rate = calibration.false_alarm_rate, calibration.warning_rate
    check_rate(rate)
    if warning_rate is not None and not rate < warning_rate < 1:
        raise ValueError(f"expected a warning rate above {rate:g} and below 1, got {warning_rate!r}")
    for name in ("thresholds", "warning_thresholds", "limits"):
        array = getattr(calibration, name)
        if array is not None and not (np.isfinite(array) & (array >= 0)).all():
            c = int(np.flatnonzero(~(np.isfinite(array) & (array >= 0)))[0])
            raise ValueError(f"calibration.{name}: expected finite numbers from 0 on, got {array[c]} at {c}")
    raised = calibration.raised
    if raised is not None and (calibration.scores is None or not (np.isfinite(raised) & (raised >= 0)).all()):
        raise ValueError("calibration.raised: expected finite numbers from 0 on, beside scores, got others")
    whole = calibration.group_confidence
    if whole is not None and (not 0 < whole < 1 or calibration.drives is None):
        raise ValueError(f"expected a confidence between 0 and 1, of drives, got {whole!r}")
    pooled = calibration.thresholds[~calibration.own] if raised is None else calibration.thresholds[:0]
    if len(pooled) and (pooled != pooled[0]).any():
        raise ValueError("expected one threshold for all classes without their own, got several")
    if calibration.n < 1 or min(calibration.n_scales, 0, *calibration.excluded.values()) < 0:
        raise ValueError("expected counts of held-out frames, got negative numbers or none")
    if calibration.leak is not None and not 0 <= calibration.leak <= 1:
        raise ValueError(f"expected an AUROC from 0 to 1 as leak, got {calibration.leak}")
    _check_realised(calibration)


def _check_thresholds(calibration: Calibration, scores: np.ndarray, seen: np.ndarray, asked: float | None) -> None:
    """The thresholds are those that the scores give. seen: the classes. asked: the rate that the history has."""
    rate, warning_rate, raised = calibration.false_alarm_rate, calibration.warning_rate, calibration.raised
    if asked != rate:
        raise ValueError(f"expected the rate of the last change in the history, {asked}, got {rate:g}")
    per_class = raised is not None or bool(calibration.own.any())
    of, rest = (scores, seen, len(calibration.thresholds)), (calibration.drives, raised, calibration.group_confidence)
    wanted, own = thresholds_by_class(*of, rate, per_class, *rest)
    right = np.array_equal(wanted, calibration.thresholds) and np.array_equal(own, calibration.own)
    warning = calibration.warning_thresholds
    if warning_rate is not None and warning is not None:  # whether they are per class is not kept
        either = (thresholds_by_class(*of, warning_rate, one, *rest)[0] for one in (per_class, True))
        right = right and any(np.array_equal(one, warning) for one in either)
    if not right:
        raise ValueError("expected the thresholds that the calibration's own scores give, got others")


def _check_realised(calibration: Calibration) -> None:
    """The rate seen is a count of frames, with its interval, and that of the scores where the file holds them."""
    n, realised = calibration.n, calibration.realised
    if not 0 <= realised <= 1:
        raise ValueError(f"expected a rate from 0 to 1 as realised, got {realised}")
    if calibration.drives is not None and calibration.scores is not None and calibration.predictions is not None:
        above = calibration.scores > calibration.thresholds[calibration.predictions]
        seen = rate_seen(above, n, calibration.drives)
        if not np.allclose([realised, *calibration.interval], [seen[0], *seen[1]], rtol=0, atol=1e-6):
            raise ValueError(f"expected the rate {seen[0]} of its drives as realised, got {realised} or its interval")
        return
    alarms = round(realised * n)
    if abs(alarms - realised * n) > _ROUNDING * n:
        raise ValueError(f"expected a number of {n} frames as realised, got {realised}")
    if calibration.scores is not None and calibration.predictions is not None:
        above = calibration.scores > calibration.thresholds[calibration.predictions]
        counted = int(above.sum()) + n - len(calibration.scores)
        if counted != alarms:
            raise ValueError(f"expected {counted} of {n} held-out frames above their thresholds, got {alarms}")
    if not np.allclose(calibration.interval, clopper_pearson(alarms, n), rtol=0, atol=1e-6):
        raise ValueError(f"expected the interval of {alarms} alarms in {n} frames, got {calibration.interval}")


def scales_fit(scales: Scales, example: Scales) -> bool:
    """Whether scales from a file have the form of an example and cannot make a score that is no number."""
    forms = [{name: (a.shape[1:], a.dtype) for name, a in arrays.items()} for arrays in (scales, example)]
    if forms[0] != forms[1]:
        return False
    for name, array in scales.items():
        per_column = name not in ("value", "surprise")
        rows = len(example[name]) if per_column else len(scales["value"])
        if len(array) != rows or not len(array) or not np.isfinite(array).all():
            return False
    positive = [scales[name] for name in ("scale", "excess") if name in scales]
    ordered = [scales[name] for name in ("value", "surprise") if name in scales]
    if (scales.get("surprise", np.zeros(1)) < 0).any():  # -log p: a score below 0 would be no score
        return False
    return all((a > 0).all() for a in positive) and all((np.diff(a, axis=0) >= 0).all() for a in ordered)
