"""Bootstrap intervals: against scipy's for frames, by hand for drives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from outrider.monitor.evaluation import aupr, aurc, fpr_at_tpr, selective_risk, separation
from outrider.monitor.evaluation.intervals import drawing


def area(clean, unsafe):
    return roc_auc_score(np.repeat([0, 1], [len(clean), len(unsafe)]), np.concatenate([clean, unsafe]))


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(7)
    return rng.normal(0, 1, 80), rng.normal(1, 1, 60)


def test_the_figures_are_those_of_all_frames(scores):
    found = separation(*scores, resamples=10)
    assert found.auroc.value == pytest.approx(area(*scores))
    assert found.aupr.value == aupr(*scores)
    assert found.fpr95.value == fpr_at_tpr(*scores)


def test_the_interval_is_close_to_scipys(scores):
    theirs = bootstrap(scores, area, vectorized=False, method="percentile", n_resamples=500, rng=1).confidence_interval
    np.testing.assert_allclose(separation(*scores, resamples=2000).auroc.interval, theirs, atol=0.02)


def test_a_seed_draws_the_same_and_another_another(scores):
    first, again, other = (separation(*scores, resamples=50, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.auroc.interval != other.auroc.interval


def test_a_lower_level_is_narrower(scores):
    wide, narrow = (separation(*scores, resamples=300, level=level).auroc.interval for level in (0.95, 0.5))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_frames_of_a_drive_are_drawn_together():
    draw = drawing(6, np.array(["b", "a", "b", "c", "c", "c"]))
    wholes = {(1,), (0, 2), (3, 4, 5)}
    for seed in range(20):
        drawn = draw(np.random.default_rng(seed)).tolist()
        parts = []
        while drawn:
            parts.append(next(whole for whole in wholes if drawn[: len(whole)] == list(whole)))
            drawn = drawn[len(parts[-1]) :]
        assert len(parts) == 3


def test_drives_that_differ_widen_the_interval():
    rng = np.random.default_rng(3)
    drives = np.repeat(np.arange(10), 30)
    clean = rng.normal(0, 1, 300)
    unsafe = rng.normal(0, 1, 10)[drives] * 2 + rng.normal(1, 0.1, 300)
    frames = separation(clean, unsafe, resamples=300).auroc.interval
    both = separation(clean, unsafe, clean_drives=drives, unsafe_drives=drives, resamples=300).auroc.interval
    assert both[1] - both[0] > 2 * (frames[1] - frames[0])


def test_of_one_frame_or_one_drive_there_is_no_interval(scores):
    assert separation(scores[0], scores[1][:1]).auroc.interval is None
    assert separation(*scores, clean_drives=np.zeros(80)).fpr95.interval is None
    assert separation(*scores, resamples=0).aupr.interval is None


def test_the_risk_of_what_passes_has_an_interval_around_it():
    rng = np.random.default_rng(0)
    score = rng.normal(0, 1, 200)
    wrong = rng.random(200) < 0.1 + 0.2 * (score > 0)
    found = selective_risk(score, wrong, resamples=400)
    assert found.value == aurc(score, wrong)
    assert found.interval[0] < found.value < found.interval[1]
    assert selective_risk(score, np.zeros(200, bool), resamples=20) == (0.0, (0.0, 0.0))
    assert selective_risk(score, wrong, drives=np.zeros(200)).interval is None


def test_drives_of_another_number_are_refused(scores):
    with pytest.raises(ValueError, match="drive of each of 60 frames"):
        separation(*scores, unsafe_drives=np.arange(59))
