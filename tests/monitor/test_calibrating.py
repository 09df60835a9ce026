from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from outrider.coverage import MultiRange, SingleRange, Softmax
from outrider.monitor import (
    CalibrationError,
    Monitor,
    OutriderWarning,
    SmallestP,
    Status,
    Sum,
)
from outrider.networks import Taps

from .conftest import batches, frames


@pytest.mark.parametrize(
    ("logic", "said"),
    [
        (Sum(), "1,000 held-out frames set the threshold\n"),
        (SmallestP(), "1,000 held-out frames: 500 set the scales, 500 the threshold\n"),
    ],
)
def test_a_calibration_says_what_its_frames_were_for(network, logic, said):
    monitor = Monitor(network, SingleRange(), logic=logic)
    monitor.profile(batches(frames(1000)))
    calibration = monitor.calibrate([frames(1000, seed=3)], 0.05)
    low, high = calibration.interval
    assert f" seen on {calibration.n} held-out frames (95 % interval {low:.4g} to {high:.4g})\n" in str(calibration)
    assert str(calibration).startswith(said)
    assert calibration.n + calibration.n_scales == 1000


@pytest.mark.parametrize("of_map", [False, True])
def test_a_profile_that_knows_its_own_data_is_warned_of(network, of_map):
    if of_map:
        hidden, logits = network.taps
        network.taps = Taps([replace(hidden, shape=(1, 4, 4), layout="NCHW"), logits])
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(30)), minimum_per_class=1)
    warned = r"tells its own data from held-out data: AUROC [01]\.\d+, expected at most 0\.6; profile more samples"
    advice = r', or leave out the units: give the network taps="auto"$'
    with pytest.warns(OutriderWarning, match=warned + (advice if of_map else "$")):
        calibration = monitor.calibrate(batches(frames(500, seed=1)), 0.05)
    assert calibration.leak > 0.6
    assert "profiled against held-out frames: AUROC" in str(calibration)


@pytest.mark.parametrize(("profiled", "held_out", "given"), [(19, 100, False), (100, 19, False), (20, 20, True)])
def test_the_leak_is_not_told_from_very_few_frames(network, profiled, held_out, given):
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile([frames(profiled)], minimum_per_class=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        calibration = monitor.calibrate([frames(held_out, seed=1)], 0.1)
    assert (calibration.leak is not None) == given


def test_too_few_held_out_frames_are_refused_with_the_number_needed(network):
    monitor = Monitor(network, {"hidden": SingleRange(), "@output": Softmax()})
    monitor.profile(batches(frames(500)))
    with pytest.raises(
        CalibrationError, match=r"expected at least 198 held-out frames for a false-alarm rate of 0.01, got 60"
    ):
        monitor.calibrate(batches(frames(60, seed=1)), 0.01)
    with pytest.raises(CalibrationError, match="expected held-out frames, got none"):
        monitor.calibrate([], 0.01)


def test_scales_and_threshold_come_from_different_frames(network):
    monitor = Monitor(network, {"hidden": SingleRange(), "@output": Softmax()})
    monitor.profile(batches(frames(500)))
    calibration = monitor.calibrate(batches(frames(501, seed=1)), 0.05)
    assert (calibration.n_scales, calibration.n) == (251, 250)
    plain = Monitor(network, SingleRange(), logic=Sum())
    plain.profile(batches(frames(500)))
    calibration = plain.calibrate(batches(frames(501, seed=1)), 0.05)
    assert (calibration.n_scales, calibration.n) == (0, 501)


def test_a_class_has_its_own_threshold_where_it_has_the_frames(network):
    monitor = Monitor(network, MultiRange(8))
    monitor.profile(batches(frames(3000)))
    held_out = frames(600, seed=1)
    predicted = network.run(held_out).argmax(axis=1)
    held_out = np.concatenate([held_out[predicted != 2], held_out[predicted == 2][:5]])
    calibration = monitor.calibrate(batches(held_out), 0.05, per_class=True)
    assert calibration.own.tolist() == [True, True, False]
    pooled = monitor.calibrate(batches(held_out), 0.05)
    assert calibration.thresholds[2] == pooled.thresholds[0]
    assert len(set(pooled.thresholds)) == 1
    assert "2 of 3 classes with their own" in str(calibration)


def test_a_warning_rate_gives_warnings_below_alarms(network):
    monitor = Monitor(network, MultiRange(8))
    monitor.profile(batches(frames(3000)))
    monitor.calibrate(batches(frames(1000, seed=1)), 0.02, warning_rate=0.2)
    _, verdicts = monitor.check(frames(2000, seed=2))
    assert abs((verdicts.status == Status.WARN).mean() - 0.18) < 0.04
    assert not verdicts.alarm[verdicts.status == Status.WARN].any()
    warned = next(verdict for verdict in verdicts if verdict.status == Status.WARN)
    assert "above the warning level" in warned.reason
    assert (verdicts.alarm == (verdicts.confidence < 0.5)).all()
    with pytest.raises(ValueError, match=r"expected a warning rate above 0.05"):
        monitor.calibrate(batches(frames(1000, seed=1)), 0.05, warning_rate=0.01)


def test_rates_from_numpy_are_numbers_like_others(network, tmp_path):
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(400)), minimum_per_class=0)
    found = monitor.calibrate(batches(frames(200, seed=1)), np.float32(0.25), warning_rate=np.float32(0.5))
    assert (type(found.false_alarm_rate), type(found.warning_rate)) == (float, float)
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network).calibration
    assert (again.false_alarm_rate, again.warning_rate) == (0.25, 0.5)
