from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.monitor import (
    Calibration,
    CalibrationError,
    clopper_pearson,
    conformal_threshold,
    false_alarm_rate,
    needed_samples,
)
from outrider.monitor.calibration import rate_seen, sharing, threshold_of_groups, thresholds_by_class


@given(st.integers(1, 300), st.sampled_from([0.5, 0.2, 0.1, 0.05, 0.01, 0.003]))
def test_threshold_is_the_conformal_order_statistic_or_is_refused_with_the_number_needed(n, rate):
    scores = np.random.default_rng(n).permutation(n).astype(float)
    k = math.ceil((n + 1) * (1 - rate) - 1e-9)
    if k <= n:
        assert conformal_threshold(scores, rate) == k - 1
        assert n >= needed_samples(rate)
    else:
        assert n < needed_samples(rate)
        message = (
            f"expected at least {needed_samples(rate)} held-out frames for a false-alarm rate of {rate:g}, got {n}"
        )
        with pytest.raises(CalibrationError, match=message):
            conformal_threshold(scores, rate)


def test_new_exchangeable_scores_exceed_the_threshold_no_more_often_than_asked():
    rng = np.random.default_rng(0)
    rates = [
        (rng.exponential(size=200) > conformal_threshold(rng.exponential(size=99), 0.05)).mean() for _ in range(400)
    ]
    assert 0.04 < np.mean(rates) <= 0.0525


@pytest.mark.parametrize(("rate", "n"), [(0.05, 19), (0.01, 99), (0.5, 1), (0.001, 999)])
def test_number_of_samples_needed(rate, n):
    assert needed_samples(rate) == n


def test_rate_from_frames_and_hours():
    assert false_alarm_rate(fps=30, hours=10) == pytest.approx(1 / (30 * 3600 * 10))
    with pytest.raises(ValueError, match="expected positive fps and hours of more than one frame, got 0 and 1"):
        false_alarm_rate(0, 1)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="expected a false-alarm rate between 0 and 1"):
        conformal_threshold(np.arange(9.0), rate)


def test_clopper_pearson_inverts_the_binomial_tails():
    low, high = clopper_pearson(3, 50)

    def at_least(k, p):
        return sum(math.comb(50, i) * p**i * (1 - p) ** (50 - i) for i in range(k, 51))

    assert at_least(3, low) == pytest.approx(0.025, rel=1e-6)
    assert 1 - at_least(4, high) == pytest.approx(0.025, rel=1e-6)
    assert clopper_pearson(0, 50)[0] == 0


def calibration(scores, predictions, thresholds, rate=0.05):
    """As a file would hold it; the scales and limits do not count here."""
    own, limits = np.zeros(len(thresholds), bool), np.zeros(1, np.float32)
    same = rate, np.asarray(thresholds, float), own, len(scores), 0, 0.0, (0.0, 1.0), None, limits, {}
    return Calibration(*same, scores=np.asarray(scores, float), predictions=np.asarray(predictions))


def test_rates_by_class_are_counts_above_the_threshold_of_the_class():
    found = calibration([1, 2, 3, 4, 5, 6, 2], [0, 0, 0, 1, 1, 1, 3], [2, 5, 0, 1])
    rates = found.by_class()
    assert [(one.class_index, one.frames, one.alarms) for one in rates] == [(0, 3, 1), (1, 3, 1), (2, 0, 0), (3, 1, 1)]
    assert [one.rate for one in rates] == [1 / 3, 1 / 3, pytest.approx(math.nan, nan_ok=True), 1]
    assert [one.interval for one in rates] == [clopper_pearson(1, 3)] * 2 + [(0, 1), clopper_pearson(1, 1)]
    moved = found.with_thresholds(np.array([0.0, 5, 0, 1]))
    assert (moved.by_class()[0].alarms, moved.realised) == (3, 5 / 7)
    assert found.by_class(0.5)[0].interval == clopper_pearson(1, 3, 0.5)


def test_classes_that_alarm_too_often_are_told_from_chance():
    rng = np.random.default_rng(0)
    predictions = np.repeat(np.arange(40), 60)

    def named(rates):
        above = rng.random(len(predictions)) < rates[predictions]
        return [one.class_index for one in calibration(above, predictions, np.full(40, 0.5)).too_often()]

    by_chance = [named(np.full(40, 0.05)) for _ in range(200)]
    assert sum(map(bool, by_chance)) <= 200 * 0.05 + 6
    loud = np.full(40, 0.05)
    loud[[7, 3]] = 0.9, 0.4
    assert named(loud)[:2] == [7, 3]
    for alarms, expected in ((400, []), (499, []), (500, [0])):  # of 5,000: sure to be above, but not twice as high
        many = calibration(np.arange(5000) < alarms, np.zeros(5000, int), [0.5])
        assert [one.class_index for one in many.too_often()] == expected


def test_an_older_file_holds_no_rates_by_class():
    old = Calibration(0.05, np.ones(2), np.zeros(2, bool), 9, 0, 0.0, (0.0, 1.0), None, np.zeros(1, np.float32), {})
    for asked in (old.by_class, old.too_often):
        with pytest.raises(CalibrationError, match="that holds the scores of its frames, got one of an older file"):
            asked()


def test_drives_of_one_frame_each_are_frames():
    rng = np.random.default_rng(1)
    for n, rate in ((19, 0.05), (20, 0.05), (137, 0.1), (99, 0.01)):
        scores = rng.integers(0, 40, n).astype(float)
        assert conformal_threshold(scores, rate, rng.permutation(n)) == conformal_threshold(scores, rate)
    with pytest.raises(CalibrationError, match=r"at least 19 held-out drives for a false-alarm rate of 0.05, got 18"):
        conformal_threshold(np.arange(900.0), 0.05, np.arange(900) % 18)


def test_the_threshold_of_drives_by_hand():
    # Three drives of 1, 2 and 4 frames weigh 1/4 each, the new one the last quarter, above all.
    scores, drives = np.array([5.0, 1, 3, 0, 2, 4, 6]), np.array([7, 3, 3, 9, 9, 9, 9])
    order = [(0, 1 / 16), (1, 3 / 16), (2, 4 / 16), (3, 6 / 16), (4, 7 / 16), (5, 11 / 16), (6, 12 / 16)]
    for score, passed in order:
        if passed >= 4 / 16:
            assert conformal_threshold(scores, 1 - passed, drives) == score, "exactly reached"
            assert conformal_threshold(scores, 1 - passed + 0.02, drives) == score
            assert conformal_threshold(scores, 1 - passed - 1 / 64, drives) > score if score < 6 else True


def drawn(rng, drives, frames, tail):
    """Scores of drives whose frames have an intraclass correlation of 0.31, that of frames of one traffic sign."""
    own = rng.exponential(size=(drives, 1)) - 1 if tail else rng.normal(size=(drives, 1))
    return np.sqrt(0.31) * own + np.sqrt(0.69) * rng.normal(size=(drives, frames))


@pytest.mark.parametrize(("tail", "covered"), [(False, 0.91), (True, 0.82)])
def test_the_rate_holds_on_new_drives_and_its_interval_is_that_of_drives(tail, covered):
    rng = np.random.default_rng(0)
    new = drawn(rng, 4000, 30, tail)
    level = np.quantile(new, 0.95)
    which = np.repeat(np.arange(40), 30)
    by_frame, by_drive, frames_cover, drives_cover = [], [], [], []
    for _ in range(300):
        scores = drawn(rng, 40, 30, tail).ravel()
        by_frame.append((new > conformal_threshold(scores, 0.05)).mean())
        by_drive.append((new > conformal_threshold(scores, 0.05, which)).mean())
        for cover, drives in ((frames_cover, None), (drives_cover, which)):
            _, (low, high) = rate_seen(scores > level, len(scores), drives)
            cover.append(low <= 0.05 <= high)
    assert np.mean(by_drive) <= 0.05
    assert np.mean(by_frame) > 0.05, "frames that are not exchangeable break the promise on average"
    # One calibration in ten ends far above; by drive hardly any.
    assert np.quantile(by_frame, 0.9) > 1.35 * 0.05
    assert np.quantile(by_drive, 0.9) < 1.1 * 0.05
    assert np.mean(frames_cover) < 0.75, "Clopper-Pearson over frames is too narrow"
    assert np.mean(drives_cover) > covered, "of the 95 % that it aims at, with drives of a long tail"


def test_a_rate_over_drives_is_the_mean_of_their_shares():
    above = np.array([1, 0, 0, 0, 1, 1, 0, 0, 0, 0], bool)
    drives = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
    rate, (low, high) = rate_seen(above, 10, drives)
    assert rate == pytest.approx((1 / 4 + 1 + 0) / 3)
    assert low < rate < high
    assert rate_seen(above, 20, drives)[0] == pytest.approx((rate * 10 + 10) / 20), "ten that always alarm"
    assert rate_seen(np.zeros(10, bool), 10, drives)[1] == clopper_pearson(0, 3), "three drives, not ten frames"
    one_by_one = rate_seen(above, 10, np.arange(10))
    assert one_by_one[0] == 0.3
    np.testing.assert_allclose(one_by_one[1], clopper_pearson(3, 10), atol=0.03)


def test_classes_count_their_drives():
    scores = np.array([1.0] * 30 + [0.0] * 30)
    found = calibration(scores, [0] * 60, [0.5])
    by_drive = replace(found, drives=np.arange(60) // 30)
    assert by_drive.by_class()[0][:3] == found.by_class()[0][:3] == (0, 60, 30)
    assert by_drive.by_class()[0].interval[0] < 0.01
    assert [len(one.too_often()) for one in (found, by_drive)] == [1, 0]
    assert "60 held-out frames of 2 drives set the threshold" in str(by_drive)


def test_classes_with_too_little_share_a_threshold_set_on_their_own_frames():
    """40 frames of class 0, of which 39 are needed for 2.5 %; 20 of 1 and 19 of 2, which score higher."""
    scores = np.concatenate([np.arange(40.0), 100 + np.arange(39.0)])
    predictions = np.repeat([0, 1, 2], [40, 20, 19])
    thresholds, own = thresholds_by_class(scores, predictions, 3, 0.025, True, raised=np.zeros(3))
    assert (thresholds.tolist(), own.tolist()) == ([39, 138, 138], [True, False, False])
    assert sharing(predictions, own, 0.025).sum() == 39
    fewer = scores[:-1], predictions[:-1]  # 38 frames are too few, and all 78 set it: the 78th of them
    thresholds, own = thresholds_by_class(*fewer, 3, 0.025, True, raised=np.zeros(3))
    assert (thresholds.tolist(), own.tolist()) == ([39, 137, 137], [True, False, False])
    assert sharing(fewer[1], own, 0.025).all()
    thresholds, _ = thresholds_by_class(scores, predictions, 3, 0.05, True, raised=np.zeros(3))
    assert thresholds.tolist() == [38, 119, 138], "enough each at 5 %: the 39th of 40, the 20th of 20, the 19th of 19"
    thresholds, own = thresholds_by_class(scores, predictions, 3, 0.025, False)
    assert (set(thresholds), own.any()) == ({137.0}, False), "the 78th of 79"


def test_a_file_of_before_has_the_threshold_of_all_frames_where_a_class_has_too_little():
    scores, predictions = np.arange(60.0), np.repeat([0, 1], [50, 10])
    thresholds, own = thresholds_by_class(scores, predictions, 2, 0.05, True)
    assert (thresholds.tolist(), own.tolist()) == ([48, 57], [True, False])


def test_sharing_counts_drives():
    predictions, drives = np.repeat([0, 1, 2], [60, 30, 30]), np.concatenate([np.arange(60), np.arange(60) // 3])
    _, own = thresholds_by_class(np.arange(120.0), predictions, 3, 0.05, True, drives, np.zeros(3))
    assert own.tolist() == [True, False, False]
    assert sharing(predictions, own, 0.05, drives).sum() == 60, "20 drives"
    assert sharing(predictions, own, 0.05, np.concatenate([np.arange(60), np.arange(60) // 4])).all(), "15 drives"


def test_the_shared_threshold_is_raised_by_what_was_given():
    rng = np.random.default_rng(3)
    scores, predictions = rng.exponential(size=300), np.repeat([0, 1, 2, 3], [250, 18, 18, 14])
    raised = np.array([7.0, 0.5, 0.25, 0])
    thresholds, own = thresholds_by_class(scores, predictions, 4, 0.05, True, raised=raised)
    of_theirs = scores[250:] - raised[predictions[250:]]
    base = np.sort(of_theirs)[math.ceil(51 * 0.95) - 1]
    assert own.tolist() == [True, False, False, False]
    assert thresholds.tolist() == [conformal_threshold(scores[:250], 0.05), base + 0.5, base + 0.25, base]


def test_the_threshold_of_whole_drives_is_an_order_statistic_of_those_of_each():
    rng = np.random.default_rng(4)
    for rate, confidence in ((0.05, 0.9), (0.2, 0.8), (0.3, 0.5)):
        drives = rng.permutation(np.repeat(np.arange(23), rng.integers(1, 40, 23)))
        scores = rng.integers(0, 30, len(drives)).astype(float)
        own = []
        for drive in range(23):
            mine = scores[drives == drive]
            own.append(min(t for t in mine if (mine > t).mean() <= rate + 1e-12))
        expected = sorted(own)[math.ceil(24 * confidence - 1e-9) - 1]
        assert threshold_of_groups(scores, drives, rate, confidence) == expected


@pytest.mark.parametrize("tail", [False, True])
def test_a_whole_new_drive_keeps_the_rate_as_often_as_asked(tail):
    """By frame or by drive on average, many drives have more than the rate."""
    rng = np.random.default_rng(1)
    which, kept, average = np.repeat(np.arange(19), 40), [], []
    for _ in range(400):
        scores, (new,) = drawn(rng, 19, 40, tail).ravel(), drawn(rng, 1, 40, tail)
        kept.append((new > threshold_of_groups(scores, which, 0.1, 0.9)).mean() <= 0.1)
        average.append((new > conformal_threshold(scores, 0.1, which)).mean() <= 0.1)
    assert 0.9 - 0.03 < np.mean(kept) < 0.9 + 0.04, "18 of 20 exactly, as there are no ties"
    assert np.mean(average) < 0.87


def test_whole_drives_that_are_few_or_mostly_left_out_set_no_threshold():
    scores, drives = np.arange(90.0), np.arange(90) // 10
    assert threshold_of_groups(scores, drives, 0.1, 0.9) == 88, "the highest of 8, 18, ... 88"
    with pytest.raises(CalibrationError, match=r"at least 9 held-out drives for a chance of 0\.9 .* got 8; give more"):
        threshold_of_groups(scores[:80], drives[:80], 0.1, 0.9)
    scores[85:87] = np.inf
    with pytest.raises(CalibrationError, match=r"at most 0\.1 of the frames of a drive left out, got more in 1 of 9"):
        threshold_of_groups(scores, drives, 0.1, 0.9)
    assert threshold_of_groups(scores, drives, 0.1, 0.8) == 78
    for wrong in (0, 1, math.nan):
        with pytest.raises(ValueError, match="expected a confidence between 0 and 1"):
            threshold_of_groups(scores, drives, 0.1, wrong)
