from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis
from outrider.monitor import CalibrationError, MismatchError, Monitor, Sum, conformal_threshold
from outrider.monitor.thresholds.recalibrating import KeptFrames

from ..conftest import batches, frames

RATE = 0.05


@pytest.fixture
def saved(network, tmp_path):
    """A monitor from a file, whose score is the deviation of its one column."""
    monitor = Monitor(network, {"hidden": Mahalanobis()}, logic=Sum())
    monitor.profile(batches(frames(2000)))
    monitor.calibrate(batches(frames(4000, seed=1)), RATE)
    monitor.save(tmp_path / "m.outrider")
    return Monitor.load(tmp_path / "m.outrider", network)


def driven(monitor, scene, every=1, **changes):
    """What a guard would have kept of a drive, one of `every` believed clean."""
    _, verdicts = monitor.check(scene)
    flagged = verdicts.score > verdicts.threshold
    rows = np.flatnonzero(~flagged)[every - 1 :: every]
    kept = KeptFrames(
        verdicts.deviation[rows], verdicts.prediction[rows], verdicts.score[rows], verdicts.threshold[rows],
        int((~flagged).sum()), int(flagged.sum()), len(scene), 0, False,
        frozenset({monitor.network.fingerprint}), frozenset({monitor.profile_sha256}),
    )  # fmt: skip
    return kept._replace(**changes)


def calm(n, seed):
    """Frames closer to the trusted ones than the held-out ones were."""
    return 0.8 * frames(n, seed=seed)


def test_a_threshold_that_holds_stays_and_that_is_in_the_history(saved):
    kept = driven(saved, frames(2000, seed=7))
    assert 0.03 < kept.flagged / 2000 < 0.07
    before = saved.threshold
    found = saved.recalibrate(kept, reason="yearly check")
    assert (found.changed, found.calibration, saved.threshold) == (False, saved.calibration, before)
    change = saved.learned.history[-1]
    assert (change.what, change.before, change.after, change.rate) == ("recalibrated", before, before, RATE)
    assert change.reason.startswith(
        f"yearly check: the threshold holds: {kept.flagged} of 2,000 frames were flagged: 0.0"
    )


@pytest.mark.parametrize("every", [1, 7])
def test_a_threshold_that_is_too_high_comes_down_to_the_quantile_of_all_frames(saved, every):
    scene = calm(20_000, 7)
    scores = saved.scores(scene)
    before, kept = saved.threshold, driven(saved, scene, every)
    found = saved.recalibrate(kept, reason="a calmer place")
    assert found.changed
    assert saved.threshold < before
    seen = (saved.scores(calm(20_000, 8)) > saved.threshold).mean()
    if every == 1:  # the flagged frames are above any threshold: the quantile is that of all frames
        assert saved.threshold == conformal_threshold(scores, RATE)
    assert seen == pytest.approx(RATE, abs=0.02 if every > 1 else 0.01)
    assert saved.calibration.realised == pytest.approx(RATE, abs=0.002)
    change = saved.learned.history[-1]
    assert (change.before, change.after) == (before, saved.threshold)
    assert "a calmer place" in change.reason


def test_what_was_recalibrated_is_saved_and_loaded(saved, network, tmp_path):
    saved.calibrate(batches(frames(4000, seed=1)), RATE, warning_rate=0.2)
    saved.save(tmp_path / "n.outrider")
    monitor = Monitor.load(tmp_path / "n.outrider", network)
    monitor.recalibrate(driven(monitor, calm(5000, 7)))
    warning = monitor.calibration.warning_thresholds[0]
    assert warning < monitor.threshold
    monitor.save(tmp_path / "n.outrider")
    again = Monitor.load(tmp_path / "n.outrider", network)
    assert (again.threshold, again.calibration.warning_thresholds[0]) == (monitor.threshold, warning)
    assert again.learned.history == monitor.learned.history
    assert str(again.calibration) == str(monitor.calibration)
    assert "frames left out: flagged by the guard" in str(again.calibration)


def test_the_rate_does_not_drift_over_twenty_rounds_and_a_plain_quantile_would(saved, network, tmp_path):
    """The ratchet: a quantile of the frames that were believed clean flags 5 % of what was not flagged before."""
    test, naive = frames(20_000, seed=99), saved.threshold
    for number in range(20):
        path = tmp_path / "round.outrider"
        saved.save(path)
        saved = Monitor.load(path, network)
        scene = frames(3000, seed=100 + number)
        scores = saved.scores(scene)
        try:
            saved.recalibrate(driven(saved, scene))
        except CalibrationError as error:  # by chance, once in a while: nothing is changed
            assert "look at the frames that were flagged" in str(error)  # noqa: PT017
        naive = conformal_threshold(scores[scores <= naive], RATE)
    scores = saved.scores(test)
    assert (scores > saved.threshold).mean() == pytest.approx(RATE, abs=0.015)
    assert (scores > naive).mean() > 0.4
    assert len(saved.learned.history) >= 11


def test_a_camera_that_changed_is_seen_and_not_learned(saved):
    """A little darker is within chance here; a third brighter is nothing that a threshold may follow."""
    scene = frames(3000, seed=7)
    assert not saved.recalibrate(driven(saved, scene * np.float32(0.98))).changed
    before = saved.threshold
    with pytest.raises(
        CalibrationError, match=r"at most the rate of 0\.05 .* calibrate on new held-out frames, or ask"
    ):
        saved.recalibrate(driven(saved, scene * np.float32(1.3), profiles=frozenset({saved.profile_sha256})))
    assert saved.threshold == before


def test_a_camera_that_became_brighter_needs_a_higher_rate(saved):
    """3 % brighter: the threshold is that of 10 % of the frames of the camera of now, if 10 % is asked for."""
    scene = frames(20_000, seed=7) * np.float32(1.03)
    before = saved.threshold
    assert (saved.scores(scene) > before).mean() > RATE
    found = saved.recalibrate(driven(saved, scene, 5), 0.1, reason="a brighter lens")
    assert found.changed
    assert saved.calibration.false_alarm_rate == 0.1
    new = saved.scores(frames(20_000, seed=8) * np.float32(1.03))
    assert (new > saved.threshold).mean() == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"networks": frozenset({"f" * 64})}, MismatchError, "network: expected .*, got ffffffffffff…"),
        ({"profiles": frozenset({"f" * 64})}, MismatchError, "profile: expected .*, got ffffffffffff…"),
        ({"profiles": frozenset({"", "f" * 64})}, MismatchError, "got none .not saved., ffffffffffff…"),
        ({"thresholds": np.ones(1900)}, MismatchError, "judged by the threshold of this profile"),
        ({"deviations": np.ones((1900, 2), np.float32)}, MismatchError, "columns: expected 1, got shape"),
        ({"deviations": np.ones((1900, 1), np.float32)}, MismatchError, "was the log altered"),
        ({"predictions": np.full(1900, 3)}, MismatchError, "classes below 3, got 3"),
        ({"broken": 3}, CalibrationError, "expected runs without faults, got 3 frames of 2,000"),
        ({"drifted": True}, CalibrationError, "the drift test of the guard rejected"),
        ({"flagged": 200}, CalibrationError, "got more: 200 of 2,100 frames were flagged"),
    ],
)
def test_logs_that_cannot_tell_are_refused_and_change_nothing(saved, changes, error, said):
    kept = driven(saved, calm(2100, 7))
    rows = slice(0, 1900)
    kept = kept._replace(**{name: getattr(kept, name)[rows] for name in KeptFrames._fields[:4]})
    kept = kept._replace(clean=1900, flagged=0, frames=2000)
    before, history = saved.calibration, saved.learned.history
    with pytest.raises(error, match=said):
        saved.recalibrate(kept._replace(**changes))
    assert (saved.calibration, saved.learned.history) == (before, history)
    assert saved.recalibrate(kept).changed


def test_few_frames_and_frozen_ones_set_nothing(saved):
    kept = driven(saved, calm(30, 7))
    few = kept._replace(**{name: getattr(kept, name)[:18] for name in KeptFrames._fields[:4]})
    with pytest.raises(
        CalibrationError, match=r"at least 19 frames that were kept .* got 18; give logs of longer drives"
    ):
        saved.recalibrate(few)
    frozen = kept._replace(**{name: np.repeat(getattr(kept, name)[:2], 30, axis=0) for name in KeptFrames._fields[:4]})
    with pytest.raises(
        CalibrationError, match="kept frames that differ, got 2 distinct of 60; look for a frozen camera"
    ):
        saved.recalibrate(frozen)


def test_thresholds_of_classes_are_for_held_out_frames(network, tmp_path):
    monitor = Monitor(network, {"hidden": Mahalanobis()}, logic=Sum())
    monitor.profile(batches(frames(2000)))
    monitor.calibrate(batches(frames(4000, seed=1)), RATE, per_class=True)
    with pytest.raises(CalibrationError, match="expected one threshold for all classes, got several"):
        monitor.recalibrate(driven(monitor, calm(2000, 7)))
