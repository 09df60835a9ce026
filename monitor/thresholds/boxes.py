"""How the thresholds of boxes are set: class by class, on detections in held-out frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..boxes.judge import LOGIC, FrameBoxes
from ..boxes.learned import LearnedBoxes
from ..calibration import Calibration, count_drives, needed_samples, rate_seen, thresholds_by_class
from ..data.changes import CALIBRATED, SCALES_KEPT
from ..errors import CalibrationError, warn
from .raising import raised_where_few

NOT_COVERED = "of a class without enough trusted boxes"
_BROKEN = "NaN or Inf under the box, or no part of the picture"


def calibrate_boxes(
    learned: LearnedBoxes, minimum: int, frames: Sequence[FrameBoxes], groups: np.ndarray, rate: float,
    confidence: float | None = None, before: Calibration | None = None,
) -> Calibration | None:  # fmt: skip
    """Thresholds for the boxes of each class, None where no class is covered and every box alarms anyway.

    Boxes of one frame are not independent: they share its light, its lens and often its objects. So a frame counts as
    one, and the rate holds for a box drawn from a new frame (`conformal_threshold` with groups). Every other frame that
    has boxes sets the scales, and by how much the threshold is higher for classes of which little was profiled; the
    rest set the thresholds. A class with boxes in enough of these frames has its own (Mondrian), the others share one.

    confidence: the chance that the rate holds over the boxes of a whole new drive, with one threshold for all classes,
    see `threshold_of_groups`; None where it is that of a box. before: the calibration whose scales stay, so that every
    frame sets the thresholds. minimum: the trusted boxes of a class below which it is not covered. groups: (n,), the
    frame or drive of each frame. In the calibration a score is that of a box, a prediction its class, and a drive its
    frame or drive.
    Raises CalibrationError naming the number of frames or drives needed.
    """
    covered = learned.covered(minimum)
    if not covered.any():
        return None
    classes = np.concatenate([one.classes for one in frames])
    deviations = np.concatenate([one.deviations for one in frames])
    group = np.repeat(groups, [len(one.classes) for one in frames])
    known = np.zeros(len(classes), bool)
    within = classes < len(covered)
    known[within] = covered[classes[within]]
    finite = np.isfinite(deviations).all(axis=1)
    kept = known & finite
    excluded = {NOT_COVERED: int((~known).sum()), _BROKEN: int((known & ~finite).sum())}
    for reason, count in excluded.items():
        if count:
            warn(f"{count:,} of {len(classes):,} held-out detections were left out and always alarm: {reason}", 2)
    classes, deviations = classes[kept], deviations[kept]
    group = _numbered(group[kept])
    _refuse_few(count_drives(group), rate, confidence, learns=before is None)
    learning = group % 2 == 0 if before is None else np.zeros(len(group), bool)
    one_group = np.zeros(deviations.shape[1], np.int64)
    scales = LOGIC.fit(deviations[learning], one_group) if before is None else before.scales
    scores = LOGIC.score(scales, deviations, one_group)
    raised = None if before is None else before.raised
    if raised is None and confidence is None:
        raised = raised_where_few(scores[learning], classes[learning], learned.per_class)
    scores, own_classes, drives = scores[~learning], classes[~learning], _numbered(group[~learning])
    rest = confidence is None, drives, raised, confidence
    thresholds, own = thresholds_by_class(scores, own_classes, len(covered), rate, *rest)
    n = len(scores) + round(sum(excluded.values()) * len(scores) / len(classes))
    realised, interval = rate_seen(scores > thresholds[own_classes], n, drives)
    limits = np.quantile(deviations, 1 - rate, axis=0, method="higher").astype(np.float32)
    n_scales = int(learning.sum()) if before is None else before.n_scales
    return Calibration(
        rate, thresholds, own, n, n_scales, realised, interval, None, limits, scales, excluded, scores=scores,
        predictions=own_classes, drives=drives, raised=raised, group_confidence=confidence,
        set_by=CALIBRATED if before is None else SCALES_KEPT,
    )  # fmt: skip


def _numbered(groups: np.ndarray) -> np.ndarray:
    """The groups as numbers from 0."""
    found: np.ndarray = np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return found


def _refuse_few(got: int, rate: float, confidence: float | None, *, learns: bool) -> None:
    """Raise CalibrationError for fewer frames or drives with boxes than are needed."""
    needed = needed_samples(rate if confidence is None else 1 - confidence) * (2 if learns else 1)
    if got < needed:
        share = "; half of them go to the scales" if learns else ""
        raise CalibrationError(
            f"expected detections of covered classes in at least {needed} held-out frames, or drives where drives are"
            f" given, for a false-alarm rate of boxes of {rate:g}, got {got}{share}; give more, or ask for a higher"
            " rate of boxes with box_rate="
        )
