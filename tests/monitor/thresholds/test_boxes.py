"""Thresholds of boxes, class by class, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis
from outrider.monitor import CalibrationError, conformal_threshold
from outrider.monitor.boxes.judge import FrameBoxes
from outrider.monitor.boxes.learned import BoxColumn, LearnedBoxes
from outrider.monitor.calibration import threshold_of_groups
from outrider.monitor.thresholds.boxes import NOT_COVERED, calibrate_boxes

MINIMUM = 5


def learned(*counts):
    """Boxes of so many samples a class."""
    signature = Mahalanobis().empty(2, len(counts))
    signature.counts[:] = counts
    return LearnedBoxes((BoxColumn(Mahalanobis(), 0),), [signature])


def frames_of(n, seed=0, classes=2):
    """Frames of 0 to 3 boxes whose deviations share something."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        k, common = rng.integers(0, 4), rng.gamma(2, 1)
        deviations = (common + rng.gamma(2, 1, (k, 1))).astype(np.float32)
        found.append(FrameBoxes(rng.integers(0, classes, k), deviations))
    return found


def boxes_of(values):
    """Frames of one box of class 0 each."""
    return [FrameBoxes(np.array([0]), np.array([[value]], np.float32)) for value in values]


EMPTY = [FrameBoxes(np.zeros(0, np.int64), np.zeros((0, 1), np.float32))]


def test_each_class_has_the_threshold_of_its_frames():
    frames = frames_of(400)
    found = calibrate_boxes(learned(50, 50), MINIMUM, frames, np.arange(400), 0.05)
    with_boxes = [one for one in frames if len(one.classes)]
    scales = np.concatenate([one.deviations for one in with_boxes[::2]]).astype(np.float64)
    setting = with_boxes[1::2]
    number = np.repeat(np.arange(len(setting)), [len(one.classes) for one in setting])
    classes = np.concatenate([one.classes for one in setting])
    scores = np.concatenate([one.deviations for one in setting])[:, 0] / scales.mean()
    np.testing.assert_allclose(found.scores, scores)
    assert found.own.all()
    for c in range(2):
        own = classes == c
        assert found.thresholds[c] == conformal_threshold(found.scores[own], 0.05, number[own])
    assert (found.n, found.n_scales) == (len(scores), len(scales))
    np.testing.assert_array_equal(found.drives, number)
    assert found.interval[0] <= found.realised <= found.interval[1]


def test_classes_with_few_boxes_share_a_threshold_that_is_higher_where_less_was_profiled():
    values = np.linspace(1, 9, 24)
    rare = [FrameBoxes(np.array([2, 3]), np.array([[3 * v], [v]], np.float32)) for v in values]
    found = calibrate_boxes(learned(500, 500, 6, 400), MINIMUM, [*frames_of(400), *rare], np.arange(424), 0.05)
    assert found.own.tolist() == [True, True, False, False]
    assert found.raised[2] > found.raised[3]
    assert found.thresholds[2] - found.thresholds[3] == pytest.approx(found.raised[2] - found.raised[3])


def test_the_rate_holds_for_the_boxes_of_new_frames():
    alarms = []
    for seed in range(40):
        found = calibrate_boxes(learned(50, 50), MINIMUM, frames_of(120, seed), np.arange(120), 0.1)
        new = [one for one in frames_of(200, 1000 + seed) if len(one.classes)]
        above = [(one.deviations[:, 0] / found.scales["scale"] > found.thresholds[one.classes]).mean() for one in new]
        alarms.append(np.mean(above))
    assert 0.03 < np.mean(alarms) < 0.1


def test_drives_count_in_the_stead_of_frames():
    frames, drives = frames_of(400), np.arange(400) // 10
    found = calibrate_boxes(learned(50, 50), MINIMUM, frames, drives, 0.1)
    assert np.unique(found.drives).tolist() == list(range(20))
    with pytest.raises(CalibrationError, match=r"at least 198 held-out frames, or drives where.* got 40"):
        calibrate_boxes(learned(50, 50), MINIMUM, frames, drives, 0.01)


def test_it_needs_as_many_frames_with_boxes_as_it_says():
    frames = boxes_of(range(1, 39))
    assert calibrate_boxes(learned(9), MINIMUM, [*frames, *EMPTY * 5], np.arange(43), 0.05) is not None
    with pytest.raises(CalibrationError, match=r"in at least 38 held-out frames.* got 37; half .* with box_rate="):
        calibrate_boxes(learned(9), MINIMUM, [*frames[1:], *EMPTY * 5], np.arange(42), 0.05)
    with pytest.raises(CalibrationError, match="got 0"):
        calibrate_boxes(learned(9), MINIMUM, EMPTY * 5, np.arange(5), 0.05)


def test_boxes_that_always_alarm_set_no_threshold_and_are_counted():
    frames = frames_of(200)
    strange = [FrameBoxes(np.array([2, 7]), np.full((2, 1), np.inf, np.float32))] * 3
    broken = [FrameBoxes(np.array([1]), np.full((1, 1), np.inf, np.float32))]
    plain = calibrate_boxes(learned(50, 50, 4), MINIMUM, frames, np.arange(200), 0.05)
    with pytest.warns(UserWarning, match="held-out detections were left out and always alarm") as said:
        found = calibrate_boxes(learned(50, 50, 4), MINIMUM, [*frames, *strange, *broken], np.arange(204), 0.05)
    assert len(said) == 2
    assert list(found.excluded.values()) == [6, 1]
    assert found.excluded[NOT_COVERED] == 6
    np.testing.assert_array_equal(found.thresholds, plain.thresholds)
    assert found.n > plain.n
    assert found.realised > plain.realised


def test_where_no_class_is_covered_nothing_is_calibrated():
    assert calibrate_boxes(learned(4, 0), MINIMUM, frames_of(3), np.arange(3), 0.05) is None
    assert calibrate_boxes(learned(0), 0, frames_of(3), np.arange(3), 0.05) is None


def test_a_promise_over_whole_drives_has_one_threshold_for_all_classes():
    frames, drives = frames_of(400), np.arange(400) // 20
    found = calibrate_boxes(learned(50, 50), MINIMUM, frames, drives, 0.1, 0.8)
    of_drives = threshold_of_groups(found.scores, found.drives, 0.1, 0.8)
    assert found.thresholds.tolist() == [of_drives] * 2
    assert (found.own.any(), found.raised, found.group_confidence) == (False, None, 0.8)
    with pytest.raises(CalibrationError, match=r"at least 38 held-out frames, or drives .* got 20"):
        calibrate_boxes(learned(50, 50), MINIMUM, frames, drives, 0.1, 0.95)


def test_kept_scales_let_every_frame_set_the_thresholds():
    before = calibrate_boxes(learned(50, 50), MINIMUM, frames_of(200), np.arange(200), 0.1)
    few = frames_of(30, seed=9)
    found = calibrate_boxes(learned(50, 50), MINIMUM, few, np.arange(30), 0.1, before=before)
    assert len(found.scores) == sum(len(one.classes) for one in few)
    assert found.scales is before.scales
    np.testing.assert_array_equal(found.raised, before.raised)
    assert found.n_scales == before.n_scales
