"""The verdicts on the detections of frames, from the first profile on."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from outrider.monitor import Monitor, NotReadyError, Status
from outrider.monitor.boxes.judge import BoxJudge
from outrider.monitor.boxes.under import Under
from outrider.networks import OnnxNetwork

from ...detectors import DECODER, NumpyDetector, onnx_detector, scene, scenes


def calibrated(network=None, logic=None, criteria="mahalanobis"):
    monitor = Monitor(network or NumpyDetector(), criteria, logic=logic)
    monitor.profile(scenes(120))
    monitor.calibrate(scenes(120, seed=1), 0.05)
    return monitor


@pytest.fixture(scope="module")
def monitor():
    return calibrated()


def test_each_detection_is_held_to_those_of_its_class(monitor):
    frames = np.concatenate([scenes(20, seed=2), scenes(20, seed=3, blue=0.5), [scene()]])
    output, verdicts = monitor.check(frames)
    seen, learned, calibration = monitor.network.observe(frames), monitor.learned.boxes, monitor.calibration.boxes
    found = monitor.network.detections(output)
    for i, (verdict, own) in enumerate(zip(verdicts, found, strict=True)):
        means = Under(monitor.network.taps[0], (32, 32)).means(seen.activations[0][64 * i : 64 * (i + 1)], own.boxes)
        criterion = learned.columns[0].criterion
        expected = criterion.deviation(learned.signatures[0], means, own.classes) / calibration.scales["scale"]
        np.testing.assert_allclose([one.deviation for one in verdict.boxes], expected, rtol=1e-5)
        assert [one.class_index for one in verdict.boxes] == own.classes.tolist()
        assert [one.confidence for one in verdict.boxes] == own.scores.tolist()
        assert [list(one.box) for one in verdict.boxes] == own.boxes.tolist()
        for one in verdict.boxes:
            assert one.threshold == calibration.thresholds[one.class_index]
            assert bool(one.reason) == one.alarm == (one.deviation > one.threshold)
    alarms = [[one.alarm for one in verdict.boxes] for verdict in verdicts]
    assert np.mean(np.concatenate(alarms[:20])) < 0.2
    assert np.mean(np.concatenate(alarms[20:40])) > 0.8
    assert verdicts[40].boxes == ()


def test_a_frame_alone_has_the_boxes_of_a_batch(monitor):
    frames = scenes(6, seed=4, blue=0.45)
    _, verdicts = monitor.check(frames)
    judge = monitor.bind()
    for frame, verdict in zip(frames, verdicts, strict=True):
        assert monitor(frame)[1].boxes == verdict.boxes
        assert judge(frame)[1].boxes == verdict.boxes
        assert judge(frame)[1].regions == verdict.regions


def test_buffers_that_a_network_fills_again_hold_the_boxes_of_their_frame():
    pytest.importorskip("onnxruntime")
    network = OnnxNetwork(onnx_detector(), taps="features", neurons="pixel", detections=DECODER)
    monitor = calibrated(network)
    assert monitor.bind().source is not None
    frames = scenes(4, seed=5)
    kept = [monitor(frame)[1].boxes for frame in frames]
    assert kept == [verdict.boxes for verdict in monitor.check(frames)[1]]


def test_detections_do_not_change_the_status_of_their_frame(monitor):
    plain = copy.copy(monitor)
    plain._learned = copy.copy(monitor.learned)
    plain._learned.boxes = None
    frames = scenes(20, seed=6, blue=0.6)
    with_boxes, without = monitor.check(frames)[1], plain.check(frames)[1]
    np.testing.assert_array_equal(with_boxes.status, without.status)
    np.testing.assert_array_equal(with_boxes.score, without.score)
    np.testing.assert_array_equal(with_boxes.maps, without.maps)
    assert all(verdict.boxes == () for verdict in without)


def test_a_class_that_was_never_profiled_alarms_and_says_so():
    one_class = Monitor(NumpyDetector(), "mahalanobis")
    one_class.profile(scenes(60, classes=1))
    one_class.calibrate(scenes(80, seed=1, classes=1), 0.05)
    (box,) = one_class(scene((2, 2, 1, 0.3)))[1].boxes
    assert (box.class_index, box.deviation, box.threshold, box.alarm) == (1, np.inf, 0.0, True)
    assert box.reason == "class 1 is not covered: 0 trusted boxes, fewer than 5"
    (known,) = one_class(scene((2, 2, 0, 0.3)))[1].boxes
    assert not known.alarm


def test_a_profile_without_a_detection_lets_every_one_alarm():
    nothing = np.stack([scene(seed=i) for i in range(60)])
    monitor = Monitor(NumpyDetector(), "mahalanobis")
    with pytest.warns(UserWarning, match="no detection is trusted in 60 frames, so every one will alarm"):
        monitor.profile(nothing)
    monitor.calibrate(np.stack([scene(seed=100 + i) for i in range(60)]), 0.05)
    assert monitor.calibration.boxes is None
    (box,) = monitor(scene((2, 2, 0, 0.3)))[1].boxes
    assert box.alarm


def test_another_logic_of_frames_has_boxes_without_a_map():
    monitor = calibrated(logic="sum")
    verdict = monitor(scenes(1, seed=7)[0])[1]
    assert verdict.map is None
    assert len(verdict.boxes) == 2
    assert verdict.regions == verdict.missed == ()


def test_regions_that_no_detection_covers_are_missed():
    monitor = calibrated()
    strange = scene((1, 1, 0, 0.3), seed=8)
    strange[2, 16:28, 16:28] = 0.9  # blue alone, which the detector does not see
    verdict = monitor(strange)[1]
    assert verdict.status is Status.ALARM
    assert [one.class_index for one in verdict.boxes] == [0]
    assert max(verdict.missed, key=lambda one: one.area).at[0] > 14
    covered = scene((1, 1, 0, 0.9), seed=8)
    regions = monitor(covered)[1].regions
    assert regions
    for region in regions:
        inside = [4 <= x < 12 and 4 <= y < 12 for x, y in _middles(monitor, covered, region)]
        assert region.covered == pytest.approx(np.mean(inside))


def _middles(monitor, frame, region):
    """The middles of the places of a region, of which the map has 8 x 8 of 4 pixels."""
    places = monitor(frame)[1].places
    rows, columns = np.nonzero(places.map > places.level)
    points = [(4 * x + 2, 4 * y + 2) for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    left, top, right, bottom = region.box
    return [(x, y) for x, y in points if left <= x < right and top <= y < bottom]


@pytest.mark.parametrize("wrong", [lambda _: 1 / 0, lambda output: [], lambda output: [None] * len(output)])
def test_what_a_decoder_raises_goes_on(monitor, wrong):
    broken = copy.copy(monitor)
    broken.network = NumpyDetector(detections=wrong)
    with pytest.raises((ZeroDivisionError, TypeError, ValueError)):
        broken.check(scenes(2))
    broken.network = NumpyDetector(detections=None)
    with pytest.raises(ValueError, match=r"expected a network with detections=fastestdet\(.*, got one without"):
        broken.check(scenes(2))


def test_boxes_outside_the_picture_and_of_broken_features_alarm(monitor):
    profile = monitor.learned
    seen = monitor.network.observe(scenes(1))
    boxes = [[-9, 0, -1, 4], [0, 0, 8, 8], [16, 16, 24, 24]]
    judge = BoxJudge(
        lambda _: [(boxes, [0.9, 0.9, 0.9], [0, 0, 1])], profile.facts, profile.boxes, 5, [0], monitor.calibration.boxes
    )
    values = seen.activations[0].copy()
    values[0, 0] = np.nan
    ((outside, broken, whole),) = judge.verdicts(seen._replace(activations=(values,)), 1)
    assert outside.deviation == broken.deviation == np.inf
    assert outside.reason == broken.reason == "NaN or Inf in the features under the box, or no part of the picture"
    assert np.isfinite(whole.deviation)


def test_before_calibration_there_is_no_verdict_on_boxes():
    monitor = Monitor(NumpyDetector(), "mahalanobis")
    monitor.profile(scenes(20))
    with pytest.raises(NotReadyError):
        monitor.check(scenes(1))
    assert monitor.deviations(scenes(3)).shape == (3, 1)
