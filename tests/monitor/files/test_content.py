from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, SingleRange
from outrider.monitor import Monitor, ProfileError, clopper_pearson
from outrider.monitor.data.changes import Change
from outrider.monitor.files import write_profile

from ..conftest import NumpyNetwork, batches, frames


@pytest.fixture
def load(tmp_path, monitor, network):
    """Save the monitor with a calibration, and a digest that fits, and load it again."""

    def run(calibration):
        write_profile(tmp_path / "m.outrider", monitor.learned, monitor.logic, calibration)
        return Monitor.load(tmp_path / "m.outrider", network)

    return run


def test_what_was_learned_is_read(load, monitor):
    assert load(monitor.calibration).describe() == monitor.describe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": np.full(3, np.inf)}, "calibration.thresholds: expected finite numbers from 0 on, got inf at 0"),
        ({"thresholds": np.full(3, -1.0)}, "calibration.thresholds: expected finite numbers from 0 on, got -1.0 at 0"),
        ({"thresholds": np.array([1.0, 2.0, 1.0])}, "expected one threshold for all classes without their own"),
        (
            {"limits": np.array([0, np.inf, 0], np.float32)},
            "calibration.limits: expected finite numbers from 0 on, got",
        ),
        ({"false_alarm_rate": 1.5}, "expected a false-alarm rate between 0 and 1"),
        ({"warning_rate": 0.001, "warning_thresholds": np.ones(3)}, "expected a warning rate above 0.05 and below 1"),
        ({"n": 0}, r"expected counts of held-out frames, got negative numbers or none|at most 0 scores"),
        ({"n_scales": -5}, "expected counts of held-out frames, got negative numbers or none"),
        ({"excluded": {"NaN or Inf": -1}}, "expected counts of held-out frames, got negative numbers or none"),
        ({"leak": 1.5}, "expected an AUROC from 0 to 1 as leak, got 1.5"),
        ({"realised": 1.5}, "expected a rate from 0 to 1 as realised, got 1.5"),
        ({"realised": 0.0123456}, "frames as realised, got 0.0123456"),
        ({"realised": 0.5}, "held-out frames above their thresholds, got"),
        ({"interval": (0.0, 1e-6)}, "expected the interval of"),
        ({"scores": None, "predictions": None, "realised": 0.5}, "expected the interval of"),
    ],
)
def test_a_calibration_that_does_not_fit_itself_is_refused(load, monitor, change, message):
    with pytest.raises(ProfileError, match=message):
        load(replace(monitor.calibration, **change))


@pytest.fixture
def of_drives(monitor):
    """The monitor with a threshold set by drives of 50 frames."""
    return monitor.calibrate([frames(4000, seed=1)], 0.05, drives=np.arange(4000) // 50)


def test_a_calibration_by_drive_is_read(load, monitor, of_drives):
    again = load(of_drives).calibration
    np.testing.assert_array_equal(again.drives, of_drives.drives)
    assert str(again) == str(of_drives)
    monitor.set_threshold(of_drives.thresholds[0] * 1.1)
    assert load(monitor.calibration).describe() == monitor.describe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drives": np.arange(2000) // 50 + 1}, "expected drives that are counted from 0, got others"),
        ({"drives": np.arange(2000) // 50 * 10**12}, "expected drives that are counted from 0, got others"),
        ({"drives": np.zeros(1999, np.int64)}, "calibration.drives: expected int64"),
        ({"drives": np.arange(2000) // 40}, "of its drives as realised, got|that the calibration's own scores give"),
        ({"realised": 0.5}, "of its drives as realised, got 0.5 or its interval"),
        ({"interval": (0.0, 1e-6)}, "of its drives as realised, got .* or its interval"),
        ({"drives": None}, "frames above their thresholds|frames as realised|expected the inter|own scores give"),
    ],
)
def test_drives_that_do_not_fit_their_calibration_are_refused(load, of_drives, change, message):
    with pytest.raises(ProfileError, match=message):
        load(replace(of_drives, **change))


def test_drives_without_the_scores_of_their_frames_are_refused(load, of_drives):
    alarms = round(of_drives.realised * of_drives.n)
    of_frames = replace(of_drives, scores=None, predictions=None, interval=clopper_pearson(alarms, of_drives.n))
    with pytest.raises(ProfileError, match=r"expected no other arrays, got calibration\.drives"):
        load(of_frames)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group_confidence": 0.5}, "that the calibration's own scores give, got others"),
        ({"group_confidence": None}, "that the calibration's own scores give, got others"),
        ({"group_confidence": 1.5}, "expected a confidence between 0 and 1, of drives, got 1.5"),
        (
            {"drives": None},
            "expected a confidence between 0 and 1, of drives, got 0.9|as realised|expected the in",
        ),
    ],
)
def test_the_chance_for_whole_drives_must_fit_the_threshold(load, monitor, change, message):
    found = monitor.calibrate([frames(4000, seed=1)], 0.05, groups=np.arange(4000) // 50)
    assert load(found).calibration.promise == found.promise
    with pytest.raises(ProfileError, match=message):
        load(replace(found, **change))


@pytest.fixture
def by_class(monitor):
    """Of 120 frames at 5 %, 60 of which set thresholds, for three classes; a warning threshold too."""
    return monitor.calibrate([frames(120, seed=1)], 0.05, per_class=True, warning_rate=0.3)


def test_a_shared_threshold_is_read_with_what_it_is_raised_by(load, monitor, by_class):
    assert by_class.raised is not None
    again = load(by_class).calibration
    np.testing.assert_array_equal(again.raised, by_class.raised)
    assert str(again) == str(by_class)
    assert load(monitor.calibration).describe() == monitor.describe()


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (np.array([0, 1e3, 0]), "the calibration's own scores give, got others"),
        (np.array([0, -1.0, 0]), "calibration.raised: expected finite numbers from 0 on"),
        (np.array([0, np.inf, 0]), "calibration.raised: expected finite numbers from 0 on"),
        (np.zeros(2), "calibration.raised: expected float64"),
    ],
)
def test_what_thresholds_are_raised_by_must_fit_them(load, by_class, raised, message):
    with pytest.raises(ProfileError, match=message):
        load(replace(by_class, raised=raised))


def test_a_threshold_must_fit_the_scores_it_rests_on(load, monitor):
    """The one that a flipped bit made of 5.3: 21.2, four times as high."""
    with pytest.raises(ProfileError, match=r"frames above their thresholds, got|last change in the history"):
        load(replace(monitor.calibration, thresholds=monitor.calibration.thresholds * 4))


def test_a_threshold_between_the_same_scores_must_be_one_of_them(load, monitor):
    """No frame lies between it and the right one, so that all counts are right."""
    calibration = monitor.calibration
    scores = np.sort(calibration.scores)
    right = calibration.thresholds[0]
    above = scores[scores > right][0]
    moved = replace(calibration, thresholds=np.full(3, (right + above) / 2))
    change = Change.made("calibrated", None, moved.thresholds, rate=calibration.false_alarm_rate)
    monitor.learned.history = (change,)
    with pytest.raises(
        ProfileError, match="expected the thresholds that the calibration's own scores give, got others"
    ):
        load(moved)


def test_scores_come_with_a_history_of_the_rate_that_was_asked_for(load, monitor):
    """Without it any threshold would do, as one that was set by hand."""
    history = monitor.learned.history
    with pytest.raises(ProfileError, match=r"expected the rate of the last change in the history, 0.05, got 0.0001"):
        load(replace(monitor.calibration, false_alarm_rate=0.0001))
    monitor.learned.history = ()
    with pytest.raises(ProfileError, match="expected a history that says how the thresholds were set, got none"):
        load(monitor.calibration)
    monitor.learned.history = history
    load(monitor.calibration)


@pytest.mark.parametrize("per_class", [False, True])
def test_a_warning_threshold_must_fit_the_scores_too(load, monitor, per_class):
    monitor.calibrate(batches(frames(4000, seed=1)), 0.05, warning_rate=0.2, per_class=per_class)
    right = load(monitor.calibration).calibration
    np.testing.assert_array_equal(right.warning_thresholds, monitor.calibration.warning_thresholds)
    with pytest.raises(ProfileError, match="expected the thresholds that the calibration's own scores give"):
        load(replace(right, warning_thresholds=right.warning_thresholds * 4))


def test_the_thresholds_must_be_those_of_the_last_change(load, monitor):
    monitor.learned.history = (Change.made("threshold set", None, np.full(3, 99.0)),)
    with pytest.raises(
        ProfileError, match=r"expected the thresholds of the last change in the history, 99.0, got othe"
    ):
        load(monitor.calibration)


def spoil(name, value):
    def change(profile):
        setattr(profile.trusted, name, value(getattr(profile.trusted, name)))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("frames", lambda n: n - 1), r"trusted.per_class: expected \d+ trusted frames of \d+, got \d+"),
        (spoil("frames", lambda n: n + 1), r"trusted.per_class: expected \d+ trusted frames of \d+, got \d+"),
        (spoil("non_finite", lambda _: -1), "expected counts of frames from 0 on"),
        (spoil("non_finite", lambda _: 10**6), "expected counts of frames from 0 on"),
        (spoil("confidence", lambda _: float("1e999")), "expected counts of frames from 0 on and a confidence"),
        (
            spoil("per_class", lambda a: a[[1, 2, 0]]),
            r"column 0 \(hidden:unit single_range\): class 0: expected the sam",
        ),
        (spoil("probe", lambda a: np.full_like(a, np.nan)), "trusted.probe: expected numbers, got NaN"),
        (spoil("probe", lambda a: a - 1e6), "trusted.probe: expected deviations that are not negative"),
    ],
)
def test_counts_that_do_not_add_up_are_refused(tmp_path, network, change, message):
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(300)))
    change(monitor.learned)
    if not np.isfinite(monitor.learned.trusted.confidence):
        with pytest.raises(ValueError, match="JSON"):
            monitor.save(tmp_path / "m.outrider")
        return
    monitor.save(tmp_path / "m.outrider")
    with pytest.raises(ProfileError, match=message):
        Monitor.load(tmp_path / "m.outrider", network)


def test_the_column_and_the_class_are_named(tmp_path):
    network = NumpyNetwork()
    monitor = Monitor(network, {"hidden": [SingleRange(), CoverageBitmap()]})
    monitor.profile(batches(frames(300)))
    monitor.learned.signatures[1].arrays["bits"][2] = 255
    monitor.save(tmp_path / "m.outrider")
    words = r"column 1 \(hidden:unit bitmap\): class 2, neuron \d+: expected sections within the range that was seen"
    with pytest.raises(ProfileError, match=words):
        Monitor.load(tmp_path / "m.outrider", network)
