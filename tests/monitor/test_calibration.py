from __future__ import annotations

import math

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


def test_an_older_file_holds_no_rates_by_class():
    old = Calibration(0.05, np.ones(2), np.zeros(2, bool), 9, 0, 0.0, (0.0, 1.0), None, np.zeros(1, np.float32), {})
    for asked in (old.by_class, old.too_often):
        with pytest.raises(CalibrationError, match="that holds the scores of its frames, got one of an older file"):
            asked()
