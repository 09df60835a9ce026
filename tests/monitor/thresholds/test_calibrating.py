from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, MultiRange, SingleRange, Softmax
from outrider.monitor import (
    CalibrationError,
    HarmonicP,
    Monitor,
    NotReadyError,
    OutriderWarning,
    SmallestP,
    Status,
    Sum,
    clopper_pearson,
    conformal_threshold,
)
from outrider.monitor.data.digests import FrameDigests
from outrider.monitor.thresholds.raising import raised_where_few
from outrider.networks import Taps

from ..conftest import batches, frames


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


def test_the_shared_threshold_is_raised_where_little_was_profiled(network):
    """By what the frames of the scales tell, which set no threshold."""
    data = frames(2000)
    predicted = network.run(data).argmax(axis=1)
    monitor = Monitor(network, Mahalanobis(), logic=SmallestP())
    monitor.profile(
        batches(np.concatenate([data[predicted == 0], data[predicted == 1][:60], data[predicted == 2][:7]]))
    )
    held_out = frames(2000, seed=1)
    at = {c: np.flatnonzero(network.run(held_out).argmax(axis=1) == c) for c in range(3)}
    held_out = held_out[np.sort(np.concatenate([at[0][:60], at[1][:30], at[2][:34]]))]
    with pytest.warns(OutriderWarning, match="tells its own data"):
        found = monitor.calibrate([held_out], 0.02, per_class=True)
    profiled, scores = monitor.learned.trusted.per_class, monitor.scores(held_out)
    labels = network.run(held_out).argmax(axis=1)
    raised = raised_where_few(scores[::2], labels[::2], profiled)
    assert raised[2] > raised[0] == 0
    np.testing.assert_allclose(found.raised, raised, atol=1e-12)
    assert found.own.tolist() == [False] * 3
    base = conformal_threshold(scores[1::2] - raised[labels[1::2]], 0.02)
    np.testing.assert_allclose(found.thresholds, base + raised, atol=1e-12)
    few = int((raised > 0).sum())
    assert f", one for all, raised for {few} of which less was profiled" in str(found)
    assert monitor.describe()["calibration"]["raised"] == found.raised.tolist()
    assert monitor.set_threshold(found.thresholds).raised is None


def test_a_logic_that_learns_no_scales_raises_nothing(network):
    monitor = Monitor(network, Mahalanobis(), logic=Sum())
    monitor.profile(batches(frames(300)))
    held_out = frames(600, seed=1)
    labels = network.run(held_out).argmax(axis=1)
    held_out = np.concatenate([held_out[labels == 0], held_out[labels == 1][:12], held_out[labels == 2][:13]])
    found = monitor.calibrate([held_out], 0.05, per_class=True)
    assert (found.raised.tolist(), found.own.tolist()) == ([0] * 3, [True, False, False])
    scores = monitor.scores(held_out)[-25:]
    assert found.thresholds[1:].tolist() == [conformal_threshold(scores, 0.05)] * 2
    assert "1 of 3 classes with their own, 2 share one on 25 frames of theirs" in str(found)
    fewer = monitor.calibrate([held_out[:-7]], 0.05, per_class=True)
    assert fewer.thresholds[1] == monitor.calibrate([held_out[:-7]], 0.05).thresholds[0]
    assert "2 share one on all frames" in str(fewer)


def test_classes_that_alarm_far_more_often_than_asked_are_named(network):
    """Frames of one class that lie farther out than those profiled."""
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile(batches(frames(2000)), class_names=["go", "stop", "yield"])
    held_out = frames(1000, seed=1)
    held_out[network.run(held_out).argmax(axis=1) == 1] *= 1.5
    with pytest.warns(
        OutriderWarning, match=r"^1 of 3 classes alarm far more often than the 0\.05 asked for: class 1"
    ) as said:
        found = monitor.calibrate(batches(held_out), 0.05)
    (loud,) = found.too_often()
    _, verdicts = monitor.check(held_out)
    stop = verdicts.prediction == 1
    assert (loud.frames, loud.alarms) == (stop.sum(), verdicts.alarm[stop].sum())
    low, high = clopper_pearson(loud.alarms, loud.frames)
    text = str(said[0].message)
    assert f"class 1 (stop) {loud.alarms} of {loud.frames} frames (95 % interval {low:.2g} to {high:.2g}); pro" in text
    assert "per_class=True" in text
    told = monitor.describe()["calibration"]["by_class"]
    assert [(one["class"], one["too_often"]) for one in told] == [(0, False), (1, True), (2, False)]
    assert sum(one["alarms"] for one in told) == round(found.realised * found.n)
    own = monitor.calibrate(batches(held_out), 0.05, per_class=True)
    assert not own.too_often()


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


def profiled(network, n=600, logic=None):
    monitor = Monitor(network, SingleRange(), logic=logic or Sum())
    monitor.profile(batches(frames(n)))
    return monitor


def test_a_frozen_camera_sets_no_threshold(network):
    monitor = profiled(network)
    stuck = np.repeat(frames(30, seed=1), 20, axis=0)
    with pytest.raises(
        CalibrationError, match=r"at least 99 held-out frames that differ .* got 30 distinct of 600; look"
    ):
        monitor.calibrate(batches(stuck), 0.01)
    assert monitor.calibration is None
    with pytest.raises(CalibrationError, match="got 1 distinct of 600"):
        monitor.calibrate(batches(np.repeat(stuck[:1], 600, axis=0)), 0.01)
    scaled = profiled(network, logic=SmallestP())
    with pytest.raises(CalibrationError, match=r"at least 48 .* got 30 distinct of 600; half of the frames go to"):
        scaled.calibrate(batches(stuck), 0.04)


def test_frames_that_come_again_count_once_and_are_in_one_half_alone(network):
    """A recording of 30 pictures a second, played at 60: every other frame is the one before."""
    monitor = profiled(network, logic=SmallestP())
    once, stuck = frames(400, seed=1), np.repeat(frames(1, seed=2), 300, axis=0)
    alone = monitor.calibrate(batches(once), 0.04)
    for data in (np.repeat(once, 2, axis=0), np.tile(once, (3, 1)), np.concatenate([once, once[:150]])):
        with pytest.warns(OutriderWarning, match=f"{len(data) - 400} of {len(data)} .* the same as one before"):
            again = monitor.calibrate(batches(data), 0.04)
        assert (again.n, again.n_scales, again.interval) == (alone.n, alone.n_scales, alone.interval)
        np.testing.assert_array_equal(again.thresholds, alone.thresholds)
        assert again.excluded["the same as one before"] == len(data) - 400
    with pytest.warns(OutriderWarning, match="299 of 700"):
        assert monitor.calibrate(batches(np.concatenate([once, stuck])), 0.04).n == 200


def test_a_threshold_that_no_score_can_exceed_is_refused(network):
    """Three outputs can be outside of their ranges and no more; they are, in a tenth of these frames and far away."""
    monitor = Monitor(network, {"@output": SingleRange()}, logic=Sum())
    monitor.profile(batches(frames(300)))
    held_out = frames(2000, seed=1)
    held_out[::10] *= np.float32(1e3)
    counts = monitor.deviations(held_out)[:, 0]
    assert (counts.max(), (counts == 3).mean() > 0.02) == (3, True)
    with pytest.raises(CalibrationError, match=r"got none of 2,000: \d+ of them share the highest score, 3, and where"):
        monitor.calibrate(batches(held_out), 0.02)
    assert monitor.calibration is None
    with pytest.raises(CalibrationError, match=r"0.02 of the held-out frames of class \d above the thr.* none"):
        monitor.calibrate(batches(held_out), 0.02, per_class=True)
    monitor.calibrate(batches(held_out), 0.02, accept_rate=0.02)
    assert monitor.learned.history[-1].reason == "accepted a rate of 0"
    assert not monitor.check(frames(50, seed=2) * np.float32(1e6))[1].alarm.any()


def test_scores_that_are_all_the_same_set_no_threshold(network):
    monitor = profiled(network)
    inside = (frames(300, seed=1) * 1e-3).astype(np.float32)
    with pytest.raises(CalibrationError, match="held-out frames with different scores, got 0 for each of 300"):
        monitor.calibrate(batches(inside), 0.05)


@pytest.mark.parametrize("logic", [Sum(), SmallestP()])
def test_frames_that_were_profiled_set_no_threshold(network, logic):
    monitor = profiled(network, logic=logic)
    with pytest.raises(
        CalibrationError, match=r"that the profile has not seen, got 600 of 600 that it was learned from"
    ):
        monitor.calibrate(batches(frames(600)), 0.05)
    mixed = np.concatenate([frames(600)[:67], frames(533, seed=1)])
    with pytest.raises(CalibrationError, match="got 67 of 600"):
        monitor.calibrate(batches(mixed), 0.05)
    with pytest.warns(OutriderWarning, match="60 of 600 held-out frames were left out: learned from by the profile"):
        found = monitor.calibrate(batches(np.concatenate([frames(600)[:60], frames(540, seed=1)])), 0.05)
    assert found.excluded["learned from by the profile"] == 60
    alone = monitor.calibrate(batches(frames(540, seed=1)), 0.05)
    assert (found.realised, found.n) == (alone.realised, alone.n)
    np.testing.assert_array_equal(found.thresholds, alone.thresholds)


def test_digests_outlive_the_file_and_an_old_file_says_that_it_has_none(network, tmp_path):
    monitor = profiled(network)
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network)
    with pytest.raises(CalibrationError, match="got 600 of 600"):
        again.calibrate(batches(frames(600)), 0.05)
    again.learned.digests = FrameDigests()
    again.save(tmp_path / "old.outrider")
    old = Monitor.load(tmp_path / "old.outrider", network)
    with pytest.warns(OutriderWarning, match="older version: it cannot be told whether it was learned from"):
        old.calibrate(batches(frames(600, seed=1)), 0.05)


def test_only_trusted_frames_count_as_profiled(network):
    data = frames(400)
    monitor = Monitor(network, SingleRange(), logic=Sum())
    labels = network.run(data).argmax(axis=1)
    labels[:200] = (labels[:200] + 1) % 3  # wrong, so that nothing is learned from them
    monitor.profile(batches(data, labels=labels), trusted_confidence=0.0)
    assert monitor.calibrate(batches(data[:200]), 0.05).n == 200


def test_a_rate_far_from_the_one_asked_for_is_refused_with_the_classes(network):
    trusted, held_out = frames(3000), frames(1000, seed=1)
    monitor = Monitor(network, SingleRange(), logic=Sum())
    with pytest.warns(OutriderWarning, match="classes have fewer"):
        monitor.profile(batches(trusted[network.run(trusted).argmax(axis=1) == 0]), class_names=["go", "stop", "yield"])
    counts = np.bincount(network.run(held_out).argmax(axis=1), minlength=3)
    with pytest.warns(OutriderWarning, match="left out"), pytest.raises(CalibrationError) as refused:
        monitor.calibrate(batches(held_out), 0.01)
    said = str(refused.value)
    assert "near the 0.01 asked for, got 0.6" in said
    assert f"class 1 (stop): {counts[1]}" in said
    assert f"class 2 (yield): {counts[2]}" in said
    assert "lower minimum_per_class" in said
    assert monitor.calibration is None
    with pytest.warns(OutriderWarning, match="left out"):
        found = monitor.calibrate(batches(held_out), 0.01, accept_rate=0.8, reason="a first try")
    assert found.realised > 0.6
    assert monitor.learned.history[-1].reason == f"accepted a rate of {found.realised:.4g}: a first try"
    with pytest.warns(OutriderWarning, match="left out"), pytest.raises(CalibrationError, match=r"near the 0\.01"):
        monitor.calibrate(batches(held_out), 0.01, accept_rate=0.5)
    with pytest.raises(ValueError, match="expected a rate to accept above 0, up to 1, got 2"):
        monitor.calibrate(batches(held_out), 0.01, accept_rate=2)


def test_a_rate_within_chance_of_twice_the_one_asked_for_is_no_refusal(network):
    monitor = profiled(network, 3000)
    held_out = frames(200, seed=1)
    held_out[:9, 0] = np.nan  # 4.5 % of them, which may be luck at twice the rate of 2 %
    with pytest.warns(OutriderWarning, match="9 of 200 held-out frames were left out: NaN or Inf"):
        found = monitor.calibrate(batches(held_out), 0.02)
    assert found.interval[0] < 0.04 < found.realised


def test_every_calibration_is_in_the_history(network, tmp_path):
    monitor = profiled(network)
    first = monitor.calibrate(batches(frames(600, seed=1)), 0.05)
    second = monitor.calibrate(batches(frames(600, seed=1)), 0.2, reason="night shift")
    monitor.save(tmp_path / "m.outrider")
    history = Monitor.load(tmp_path / "m.outrider", network).learned.history
    assert [(c.what, c.before, c.after, c.rate, c.reason) for c in history] == [
        ("calibrated", None, first.thresholds[0], 0.05, ""),
        ("calibrated", first.thresholds[0], second.thresholds[0], 0.2, "night shift"),
    ]


def test_too_few_frames_are_not_asked_for_where_enough_were_left_out(network):
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile(batches(frames(500)))
    held_out = frames(120, seed=1)
    held_out[:60, 0] = np.nan
    said = r"0\.01, got 60 that count; left out were 60 NaN or Inf; with these there would be enough: look at"
    with pytest.warns(OutriderWarning, match="60 of 120"), pytest.raises(CalibrationError, match=said):
        monitor.calibrate([held_out], 0.01)
    with pytest.warns(OutriderWarning), pytest.raises(CalibrationError, match=r"give more, or ask for a higher rate$"):
        monitor.calibrate([held_out], 0.001)


def tracks(count, each, seed):
    """(count * each, 6) frames that come in tracks and resemble those of their track."""
    rng = np.random.default_rng(seed)
    own, noise = rng.normal(size=(count, 1, 6)), rng.normal(size=(count, each, 6))
    return (np.sqrt(0.9) * own + np.sqrt(0.1) * noise).astype(np.float32).reshape(-1, 6)


def test_new_tracks_alarm_as_asked_where_frames_of_profiled_tracks_set_far_too_low_a_threshold(network):
    known = tracks(60, 40, 0).reshape(60, 40, 6)
    monitor = Monitor(network, Mahalanobis(), logic=Sum())
    monitor.profile([known[:, :20].reshape(-1, 6)])
    new = tracks(400, 20, 9)

    def alarms():
        return monitor.check(new)[1].alarm.mean()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # the frames of a class are few tracks
        monitor.calibrate([known[:, 20:].reshape(-1, 6)], 0.05)
    assert alarms() > 2.5 * 0.05
    with pytest.warns(OutriderWarning, match="own data"):  # it was profiled on other tracks
        found = monitor.calibrate([tracks(100, 20, 5)], 0.05, drives=np.repeat(np.arange(100), 20))
    assert alarms() < 1.2 * 0.05
    scores = monitor.scores(tracks(100, 20, 5))
    assert found.thresholds[0] == conformal_threshold(scores, 0.05, np.repeat(np.arange(100), 20))
    assert found.realised == pytest.approx((scores > found.thresholds[0]).mean())
    assert found.interval[1] - found.interval[0] > 2 * np.diff(clopper_pearson(round(found.realised * 2000), 2000))
    assert "2,000 held-out frames of 100 drives set the threshold" in str(found)
    assert monitor.describe()["calibration"]["drives"] == 100


def test_drives_are_never_in_both_halves(network):
    monitor = profiled(network, logic=SmallestP())
    data = tracks(60, 5, 3)
    order = np.random.default_rng(0).permutation(300)
    names = np.array([f"drive {i}" for i in range(60)])[np.repeat(np.arange(60), 5)]
    pairs = np.stack([np.repeat(np.arange(60), 5) // 10, np.repeat(np.arange(60), 5) % 10], axis=1)
    found = monitor.calibrate([data[order]], 0.05, drives=names[order].tolist(), warning_rate=0.2)
    first = list(dict.fromkeys(names[order]))
    setting = np.isin(names[order], first[1::2])
    np.testing.assert_array_equal(found.scores, monitor.scores(data[order][setting]))
    np.testing.assert_array_equal(found.drives, [first.index(name) // 2 for name in names[order][setting]])
    assert (found.n, found.n_scales) == (150, 150)
    assert found.warning_thresholds[0] == conformal_threshold(found.scores, 0.2, found.drives)
    again = monitor.calibrate(batches(data[order]), 0.05, drives=pairs[order])
    np.testing.assert_array_equal(again.drives, found.drives)
    np.testing.assert_array_equal(again.thresholds, found.thresholds)
    by_hand = monitor.set_threshold(0.5)
    assert by_hand.realised == pytest.approx(
        np.mean([(found.scores[found.drives == i] > 0.5).mean() for i in range(30)])
    )


def test_few_drives_and_drives_of_other_frames_are_refused(network):
    monitor = profiled(network, logic=SmallestP())
    data = tracks(37, 20, 3)
    with pytest.raises(
        CalibrationError,
        match=r"at least 38 held-out drives for a .* of 0.05, got 37; half of the drives go to the scales",
    ):
        monitor.calibrate([data], 0.05, drives=np.repeat(np.arange(37), 20))
    for wrong in (np.arange(739), 3, np.zeros((740, 1, 1))):
        with pytest.raises(ValueError, match=r"expected the drive of each of 740 frames, got shape"):
            monitor.calibrate([data], 0.05, drives=wrong)
    assert monitor.calibration is None


def test_a_class_needs_drives_for_a_threshold_of_its_own(network):
    monitor = profiled(network)
    data = tracks(120, 8, 3)
    drives = np.repeat(np.arange(120), 8)
    found = monitor.calibrate([data], 0.05, drives=drives, per_class=True)
    predicted = network.run(data).argmax(axis=1)
    many = [len(np.unique(drives[predicted == c])) for c in range(3)]
    assert found.own.tolist() == [count >= 19 for count in many]
    c = int(np.argmax(many))
    of_class = predicted == c
    assert found.thresholds[c] == conformal_threshold(found.scores[of_class], 0.05, drives[of_class])


def test_the_fewest_drives_set_a_threshold_that_no_frame_of_theirs_exceeds(network):
    """Of 1,140 frames drawn one by one some would."""
    monitor = profiled(network)
    data, drives = tracks(19, 60, 3), np.repeat(np.arange(19), 60)
    found = monitor.calibrate([data], 0.05, drives=drives)
    assert found.thresholds[0] == found.scores.max()
    assert (found.realised, found.interval) == (0, clopper_pearson(0, 19))


def test_groups_set_a_threshold_for_whole_drives_and_frames_left_out_count_in_theirs(network, tmp_path):
    monitor = profiled(network, logic=SmallestP())
    data, drives = tracks(40, 25, 3), np.repeat(np.arange(40), 25)
    data[drives == 7, 0] = np.nan  # the fourth of those that set the threshold
    with pytest.warns(OutriderWarning, match="25 of 1000 held-out frames were left out: NaN or Inf"):
        found = monitor.calibrate([data], 0.08, groups=drives, warning_rate=0.3, group_confidence=0.8)
    # Drive 7 is counted behind the others, so that those from 8 on are one number lower.
    setting = np.isin(drives, [1, 3, 5, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 7])
    scores = np.where(drives[setting] == 7, np.inf, monitor.scores(data[setting]))
    assert sorted(found.scores) == sorted(scores)
    for thresholds, rate in ((found.thresholds, 0.08), (found.warning_thresholds, 0.3)):
        own = [np.sort(scores[drives[setting] == d])[::-1][int(rate * 25)] for d in np.unique(drives[setting])]
        assert thresholds.tolist() == [sorted(own)[math.ceil(21 * 0.8) - 1]] * 3
    assert found.n == len(found.scores) == 500
    assert (found.group_confidence, found.own.any()) == (0.8, False)
    assert sum(one.frames for one in found.by_class()) == 475, "frames without a score are in no class"
    monitor.save(tmp_path / "m.outrider")
    assert str(Monitor.load(tmp_path / "m.outrider", network).calibration) == str(found)
    by_hand = monitor.set_threshold(found.thresholds)
    assert by_hand.realised == pytest.approx(np.mean([(scores[drives[setting] == d] > by_hand.thresholds[0]).mean()
                                                      for d in np.unique(drives[setting])]))  # fmt: skip


def test_few_groups_are_refused_with_the_number_and_groups_stand_alone(network):
    monitor = profiled(network, logic=SmallestP())
    data, drives = tracks(17, 40, 3), np.repeat(np.arange(17), 40)
    said = r"at least 18 held-out drives for a chance of 0\.9 .* got 17; half of the drives .*\(--group-confidence\)"
    with pytest.raises(CalibrationError, match=said):
        monitor.calibrate([data], 0.05, groups=drives)
    for how, wrong in (
        ({"drives": drives}, "expected groups alone, got drives too"),
        ({"per_class": True}, "expected groups alone, got per_class too"),
        ({"group_confidence": 1.0}, "expected a group_confidence between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=wrong):
            monitor.calibrate([data], 0.05, groups=drives, **how)
    assert monitor.calibration is None


def shifted(n, seed):
    """Frames of another drive: farther out than those that were profiled."""
    return frames(n, seed=seed) * np.float32(1.6)


@pytest.mark.parametrize("logic", [SmallestP(), HarmonicP(), Sum()])
def test_a_new_drive_sets_the_threshold_on_the_scales_of_before(network, logic, tmp_path):
    monitor = Monitor(network, {"hidden": [SingleRange(), Mahalanobis()], "@output": Softmax()}, logic=logic)
    monitor.profile(batches(frames(2000)))
    with pytest.raises(NotReadyError):
        monitor.calibrate([shifted(30, 1)], 0.1, keep_scales=True)
    before = monitor.calibrate([frames(1000, seed=1)], 0.1)
    new, later = shifted(30, 2), shifted(4000, 3)
    assert monitor.check(later)[1].alarm.mean() > 0.2
    scores = monitor.scores(new)
    found = monitor.calibrate([new], 0.1, keep_scales=True, reason="the new lens")
    assert found.thresholds.tolist() == [conformal_threshold(scores, 0.1)] * 3
    assert all(np.array_equal(found.scales[name], before.scales[name]) for name in before.scales)
    assert (found.n, found.n_scales, found.leak) == (30, before.n_scales, None)
    assert monitor.check(later)[1].alarm.mean() < 0.15
    assert "30 held-out frames set the threshold" in str(found)
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network)
    assert str(again.calibration) == str(found)
    change = again.learned.history[-1]
    assert (change.what, change.rate, change.reason) == ("calibrated, scales kept", 0.1, "the new lens")
    with pytest.raises(
        CalibrationError, match=r"expected at least 19 held-out frames for .* of 0\.05, got 18; give more"
    ):
        monitor.calibrate([new[:18]], 0.05, keep_scales=True)
    drives = np.arange(900) // 90
    of_drives = monitor.calibrate([shifted(900, 5)], 0.1, keep_scales=True, groups=drives)
    assert len(np.unique(of_drives.drives)) == 10, "no drive goes to the scales"


def test_classes_keep_what_they_are_raised_by_with_the_scales(network):
    monitor = Monitor(network, Mahalanobis(), logic=SmallestP())
    data = frames(2000)
    few = network.run(data).argmax(axis=1) == 1
    monitor.profile(batches(np.concatenate([data[~few], data[few][:9]])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        before = monitor.calibrate([frames(400, seed=1)], 0.02, per_class=True)
        found = monitor.calibrate([frames(200, seed=2)], 0.02, per_class=True, keep_scales=True)
        anew = monitor.calibrate([frames(200, seed=2)], 0.02, keep_scales=True)
    assert before.raised.max() > 0
    np.testing.assert_array_equal(found.raised, before.raised)
    assert anew.raised is None
