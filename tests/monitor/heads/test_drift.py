from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import ks_2samp

from outrider.monitor import CalibrationError
from outrider.monitor.heads.calibrating import calibrate
from outrider.monitor.heads.drift import compare


def calibrated(seed=0, n=200):
    scores = np.random.default_rng(seed).normal(0, 1, n)
    return calibrate(scores[:, None], scores, np.random.default_rng(seed + 1).integers(10, 40, n), 0.05, {})


def test_the_same_kind_of_prompts_seldom_warns():
    rng = np.random.default_rng(9)
    warned = [
        compare(calibrated(seed), rng.normal(0, 1, 100), rng.integers(10, 40, 100), level=0.05).changed
        for seed in range(200)
    ]
    assert np.mean(warned) < 0.1


@pytest.mark.parametrize(
    ("shift", "longer", "which"), [(1.0, 0, "p_scores"), (0.0, 30, "p_lengths"), (2.5, 0, "p_flagged")]
)
def test_another_kind_is_told_by_scores_flags_or_lengths(shift, longer, which):
    rng = np.random.default_rng(5)
    scores, lengths = rng.normal(shift, 1, 60), rng.integers(10, 40, 60) + longer
    found = compare(calibrated(), scores, lengths)
    assert found.changed
    assert getattr(found, which) < 1e-3
    assert found.p_scores == ks_2samp(scores, calibrated().scores).pvalue
    assert found.length_shift == np.median(lengths) - np.median(calibrated().lengths)
    assert "recalibrate" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["changed"] is True


def test_the_chance_of_so_many_flags_counts_that_the_threshold_was_drawn():
    """By simulation: the share of calibrations and new sets of one kind in which as many or more are flagged."""
    rng = np.random.default_rng(2)
    flags = []
    for _ in range(4000):
        then, now = rng.normal(0, 1, 40), rng.normal(0, 1, 30)
        flags.append(int((now > np.sort(then)[38]).sum()))
    heads = np.arange(40.0)
    calibration = calibrate(heads[:, None], heads, np.ones(40), 0.05, {})
    assert calibration.threshold == 38
    for flagged in (1, 3, 5):
        now = np.where(np.arange(30) < flagged, 39.0, 5.0)
        p = compare(calibration, now, np.ones(30)).p_flagged
        assert p == pytest.approx(np.mean(np.array(flags) >= flagged), abs=0.03)


def test_scores_that_are_no_numbers_count_as_flagged():
    scores = np.r_[np.full(10, np.nan), np.zeros(20)]
    found = compare(calibrated(), scores, np.full(30, 20))
    assert found.flagged == 10
    assert found.changed


def test_too_few_and_a_strange_level_are_refused():
    with pytest.raises(CalibrationError, match="at least 20 safe prompts that can be judged to compare, got 19"):
        compare(calibrated(), np.zeros(19), np.zeros(19))
    with pytest.raises(ValueError, match="level between"):
        compare(calibrated(), np.zeros(20), np.zeros(20), level=1)
