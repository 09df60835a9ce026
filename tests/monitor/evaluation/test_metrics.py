"""The figures against scikit-learn's, and against cases that are done by hand."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics import roc_curve as sklearn_curve

from outrider.monitor.evaluation import aupr, aurc, auroc, fpr_at_tpr, risk_coverage, roc_curve
from outrider.monitor.evaluation.metrics import auroc_of, ranks


def scores(seed, values=None):
    """Clean and unsafe scores; of few values where told, so that many tie."""
    rng = np.random.default_rng(seed)
    clean, unsafe = rng.normal(0, 1, 137), rng.normal(0.8, 2, 61)
    return (clean, unsafe) if values is None else (np.round(clean * values), np.round(unsafe * values))


def both(clean, unsafe):
    return np.repeat([0, 1], [len(clean), len(unsafe)]), np.concatenate([clean, unsafe])


@pytest.mark.parametrize("values", [None, 1, 3])
@pytest.mark.parametrize("seed", [4, 5])
def test_the_figures_are_those_of_scikit_learn(seed, values):
    clean, unsafe = scores(seed, values)
    truth, score = both(clean, unsafe)
    assert auroc_of(*ranks(clean, unsafe).counts()) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert aupr(clean, unsafe) == pytest.approx(average_precision_score(truth, score), abs=1e-12)
    false, caught, _ = sklearn_curve(truth, score, drop_intermediate=False)
    ours = roc_curve(clean, unsafe)
    np.testing.assert_allclose(ours[0], false, atol=1e-12)
    np.testing.assert_allclose(ours[1], caught, atol=1e-12)
    for share in (0.5, 0.95, 1.0):
        assert fpr_at_tpr(clean, unsafe, share) == pytest.approx(false[caught >= share - 1e-12].min(), abs=1e-12)


def test_ties_by_hand():
    clean, unsafe = np.array([0.0, 1, 1, 2]), np.array([1.0, 2, 3])
    assert auroc_of(*ranks(clean, unsafe).counts()) == pytest.approx((1 + 0.5 * 2 + 3 + 0.5 + 4) / 12)
    # From the top: 3 (1 of 1), then 2 (2 of 3), then 1 (3 of 6).
    assert aupr(clean, unsafe) == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert fpr_at_tpr(clean, unsafe) == 3 / 4
    assert fpr_at_tpr(clean, unsafe, 2 / 3) == 1 / 4


def test_infinite_scores_and_nan_are_the_highest_and_dropped_by_none():
    clean, unsafe = np.array([0.0, 1, np.inf]), np.array([np.nan, 5, np.inf])
    assert auroc_of(*ranks(clean, unsafe).counts()) == pytest.approx((2.5 + 2 + 2.5) / 9)
    assert auroc(clean, unsafe) == pytest.approx((2.5 + 2 + 2.5) / 9)
    assert fpr_at_tpr(clean, unsafe, 0.6) == 1 / 3
    assert roc_curve(clean, unsafe)[1].tolist() == pytest.approx([0, 2 / 3, 1, 1, 1])


def test_the_area_of_risk_is_the_mean_over_all_orders_of_ties():
    score = np.array([2.0, 1, 1, 1, 3, 3, np.inf])
    wrong = np.array([True, False, True, False, False, True, True])

    def of_order(order):
        return np.mean([wrong[list(order[: i + 1])].mean() for i in range(len(order))])

    orders = [o for o in permutations(range(7)) if all(score[a] <= score[b] for a, b in pairwise(o))]
    assert len(orders) == 12
    assert aurc(score, wrong) == pytest.approx(np.mean([of_order(order) for order in orders]), abs=1e-12)


def test_risk_over_coverage_by_hand():
    share, risk = risk_coverage(np.array([1.0, 2, 2, 3]), np.array([False, True, False, True]))
    assert share.tolist() == [0.25, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 1 / 3, 1 / 2])


def test_the_best_order_has_the_least_area():
    wrong = np.arange(10) >= 7
    assert aurc(np.arange(10.0), wrong) == pytest.approx(sum([1 / 8, 2 / 9, 3 / 10]) / 10)
    assert aurc(np.zeros(10), wrong) == pytest.approx(0.3)


@pytest.mark.parametrize("figure", [aupr, fpr_at_tpr, roc_curve])
def test_no_frames_of_a_kind_are_refused(figure):
    with pytest.raises(ValueError, match=r"expected scores \(n,\) of unsafe frames"):
        figure(np.ones(3), np.empty(0))
    with pytest.raises(ValueError, match=r"of clean frames, got shape \(1, 3\)"):
        figure(np.ones((1, 3)), np.ones(3))


def test_other_shares_and_errors_are_refused():
    with pytest.raises(ValueError, match="share above 0"):
        fpr_at_tpr(np.ones(3), np.ones(3), 0)
    with pytest.raises(ValueError, match="errs for each of 3 frames"):
        aurc(np.ones(3), np.ones(2, bool))
    with pytest.raises(ValueError, match="got int64"):
        risk_coverage(np.ones(3), np.ones(3, int))
