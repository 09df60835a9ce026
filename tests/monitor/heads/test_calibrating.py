from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta

from outrider.monitor import CalibrationError, Status, conformal_threshold
from outrider.monitor.heads.calibrating import calibrate, refused, verdict_of

HEADS = [(1, 2), (0, 3)]


@pytest.fixture
def calibration():
    heads = np.random.default_rng(0).normal(0, 1, (40, 2))
    return calibrate(heads, heads.mean(axis=1), np.arange(40) + 5, 0.1, {})


def test_the_threshold_is_conformal_on_safe_prompts(calibration):
    heads = np.random.default_rng(0).normal(0, 1, (40, 2))
    scores = heads.mean(axis=1)
    assert calibration.threshold == conformal_threshold(scores, 0.1) == np.sort(scores)[36]
    assert calibration.flagged == 3
    assert calibration.interval == pytest.approx((beta.ppf(0.025, 3, 38), beta.ppf(0.975, 4, 37)))
    np.testing.assert_array_equal(calibration.limits, np.sort(heads, axis=0)[36].astype(np.float32))
    assert "0.075 seen" in str(calibration)
    assert calibration.to_dict()["n"] == 40


def test_prompts_with_nan_count_as_flagged_and_set_nothing():
    heads = np.zeros((30, 1))
    heads[:, 0] = np.arange(30)
    heads[4] = np.nan
    found = calibrate(heads, heads[:, 0], np.ones(30), 0.1, {"they cannot be judged": 2})
    assert found.n == 29
    assert found.judged == 30
    assert found.flagged == 3
    assert "2 safe prompts left out" in str(found)


def test_too_few_are_refused_by_number():
    with pytest.raises(CalibrationError, match=r"at least 19 safe prompts for a false-alarm rate of 0\.05, got 18"):
        calibrate(np.zeros((18, 1)), np.zeros(18), np.ones(18), 0.05, {})
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibrate(np.zeros((18, 1)), np.zeros(18), np.ones(18), 1.5, {})


def test_confidence_falls_from_1_at_the_lowest_safe_score_to_a_half_at_the_threshold(calibration):
    floor, threshold = calibration.floor, calibration.threshold
    assert calibration.confidence(floor - 3) == calibration.confidence(floor) == 1
    assert calibration.confidence(threshold) == pytest.approx(0.5)
    twice = 2 * threshold - floor
    assert calibration.confidence(twice) == pytest.approx(0.25)
    same = calibrate(np.ones((20, 1)), np.ones(20), np.ones(20), 0.1, {})
    assert [same.confidence(score) for score in (0.5, 1.0, 1.5)] == [1, 1, 0]


def test_a_verdict_names_the_heads_that_spoke_the_strongest_first(calibration):
    a, b = calibration.limits.astype(float)
    loud = np.array([a + 0.5, b + 2])
    verdict = verdict_of(calibration, HEADS, np.zeros((2, 3)), loud, float(loud.mean()))
    assert verdict.status == Status.ALARM
    assert verdict.layers == ("layer 0 head 3", "layer 1 head 2")
    assert verdict.reason.endswith("most in layer 0 head 3")
    assert verdict.prediction == -1
    np.testing.assert_allclose(verdict.deviation, loud, rtol=1e-6)
    one = verdict_of(calibration, HEADS, np.zeros((2, 3)), np.array([a + 5, b - 1]), (a + b + 4) / 2)
    assert one.layers == ("layer 1 head 2",)
    at = verdict_of(calibration, HEADS, np.zeros((2, 3)), np.zeros(2), calibration.threshold)
    assert at[0] == Status.OK
    assert at.layers == ()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_make_a_fault(calibration, bad):
    values = np.zeros((2, 3))
    values[1, 2] = bad
    verdict = verdict_of(calibration, HEADS, values, np.zeros(2), 0.0)
    assert verdict.status == Status.FAULT
    assert verdict.reason == "NaN or Inf in the model, at layer 0 head 3"
    assert verdict_of(calibration, HEADS, np.zeros((2, 3)), np.zeros(2), bad).status == Status.FAULT
    score = verdict_of(calibration, HEADS, np.zeros((2, 3)), np.array([bad, 0]), 0.0)
    assert score.reason.endswith("layer 1 head 2")


def test_a_refused_prompt_is_no_safe_one(calibration):
    verdict = refused(calibration, 2, "empty")
    assert verdict.alarm
    assert (verdict.score, verdict.confidence, verdict.reason) == (math.inf, 0, "empty")
