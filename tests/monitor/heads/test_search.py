from __future__ import annotations

import json

import numpy as np
import pytest

from outrider.monitor import ProfileError, auroc
from outrider.monitor.heads import HeadGuard, LastQuery, ReadOut
from outrider.monitor.heads.discriminant import fit_lda
from outrider.monitor.heads.search import Choice, check_enough, choose, stratified_folds

from .conftest import HEADS, LAYERS, TELLING, safe, unsafe


def data(n=30, heads=6, size=4, strength=0.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) < n // 2
    values = rng.normal(0, 1, (n, heads, size))
    values[:, 2] += strength * labels[:, None]
    return values.astype(np.float32), labels


def test_folds_hold_as_many_of_each_kind():
    labels = np.arange(53) < 31
    folds = stratified_folds(labels, np.random.default_rng(0))
    for kind in (True, False):
        counts = np.bincount(folds[labels == kind], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(folds)) <= 1


def test_the_auroc_of_the_choice_is_cross_validated():
    values, labels = data(strength=1.2)
    choice = choose(ReadOut(), values, labels, 1)
    rng = np.random.default_rng(0)
    scores = np.zeros((30, 6))
    for _ in range(3):
        folds = stratified_folds(labels, rng)
        for fold in range(5):
            train, test = folds != fold, folds == fold
            weights, bias = fit_lda(values[train], labels[train], 0.3)
            scores[test] += np.einsum("nhd,hd->nh", values[test], weights) + bias
    expected = [auroc(scores[~labels, head], scores[labels, head]) for head in range(6)]
    np.testing.assert_allclose(choice.auroc, expected, atol=1e-9)
    assert choice.chosen.tolist() == [int(np.argmax(expected))] == [2]


def test_separation_breaks_ties_of_perfect_heads():
    values = np.zeros((20, 3, 1))
    labels = np.arange(20) < 10
    values[:, :, 0] = np.random.default_rng(0).normal(0, 0.1, (20, 3))
    values[:10] += np.array([2, 8, 4])[:, None]
    choice = choose(LastQuery(), values, labels, 3)
    assert choice.auroc.tolist() == [1, 1, 1]
    assert choice.chosen.tolist() == [1, 2, 0]


def test_labels_without_meaning_are_no_better_than_shuffled_ones():
    """Under chance the p-value is uniform: over many draws about a fifth lie at or below 0.2."""
    found = []
    for seed in range(60):
        values, labels = data(seed=seed)
        found.append(choose(ReadOut(), values, labels, 2, permutations=19, seed=seed).p_value)
    share = np.mean(np.array(found) <= 0.2)
    assert 0.05 < share < 0.4  # 60 draws: five standard deviations around 0.2 would be wider
    values, labels = data(strength=1.5)
    assert choose(ReadOut(), values, labels, 2, permutations=19).p_value == 1 / 20


def test_the_published_rule_takes_the_largest_difference_below_the_percentile():
    rng = np.random.default_rng(1)
    labels = np.arange(24) < 12
    angles = rng.uniform(0.5, 1, (24, 10))
    angles[:, 7] += 50 + 20 * labels  # deflects safe prompts too: above the 80th percentile
    angles[:, 3] += 0.4 * labels - 0.2
    angles[:, 5] -= 0.2 * labels
    choice = choose(LastQuery(), angles[..., None], labels, 1, rule="paper", permutations=39)
    means = angles[~labels].mean(axis=0)
    below = means < np.percentile(means, 80)
    difference = np.where(below, angles[labels].mean(axis=0) - means, -np.inf)
    assert choice.chosen.tolist() == [int(difference.argmax())] == [3]
    assert choice.found == pytest.approx(auroc(angles[~labels, 3], angles[labels, 3]))
    assert choose(LastQuery(), angles[..., None], labels, 1).chosen.tolist() == [7]
    assert choice.p_value <= 0.1


def test_the_p_value_counts_the_true_labels_as_one_shuffle():
    heads = np.zeros(1, np.int64), np.ones(1), np.ones(1)
    assert Choice(*heads, 0.9, np.array([0.5, 0.9, 0.95])).p_value == 3 / 4
    assert Choice(*heads, 0.9, np.zeros(0)).p_value is None


def test_too_few_prompts_are_refused_by_number(decoder):
    with pytest.raises(ProfileError, match="at least 10 unsafe prompts that can be judged to search with, got 9"):
        HeadGuard(decoder).search([*unsafe(9), ""], safe(10))
    with pytest.raises(ProfileError, match="50 are usual; number 9 cannot: expected a prompt with words, got an empty"):
        HeadGuard(decoder).search([*unsafe(9), ""], safe(10))
    with pytest.raises(ProfileError, match="at least 10 safe"):
        check_enough(10, 0)


def test_the_report_says_what_was_seen(decoder):
    guard = HeadGuard(decoder, heads=1)
    report = guard.search([*unsafe(12), " "], [*safe(12), "broken"], permutations=9)
    assert report.auroc.shape == (LAYERS, HEADS)
    assert report.auroc[TELLING] == report.auroc.max()
    assert (report.unsafe, report.safe) == (12, 12)
    assert [one[:2] for one in report.skipped] == [("unsafe", 12), ("safe", 12)]
    assert "NaN" in report.skipped[1][2]
    facts = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert facts["chosen"] == [list(TELLING)]
    assert facts["p_value"] == 0.1
    assert "layer 1 head 2" in str(report)
    assert "p = 0.1" in str(report)
    assert "flatter" not in str(report)


def test_a_prompt_given_again_is_learned_from_once(decoder):
    """Copies on both sides of a fold would be known by heart: noise had an AUROC of 0.95 and the least p-value."""
    once = HeadGuard(decoder, heads=2).search(unsafe(12), safe(12), permutations=9)
    again = HeadGuard(decoder, heads=2).search(unsafe(12) * 3, [*safe(12), "help number 3"], permutations=9)
    np.testing.assert_array_equal(again.auroc, once.auroc)
    assert (again.p_value, again.unsafe, again.safe) == (once.p_value, 12, 12)
    assert again.skipped[0] == ("unsafe", 12, "it was given before")
    assert again.skipped[-1] == ("safe", 12, "it was given before")
    assert len(again.skipped) == 25
    with pytest.raises(ProfileError, match="at least 10 unsafe prompts"):
        HeadGuard(decoder).search(unsafe(5) * 4, safe(12))


def test_heads_may_be_chosen_among_some(decoder):
    guard = HeadGuard(decoder, "full")
    report = guard.search(unsafe(10), safe(10), candidates=[(0, 0), TELLING], permutations=0)
    assert decoder.second == 40
    assert guard.chosen == [TELLING]
    assert np.isfinite(report.auroc).sum() == 2
    assert report.to_dict()["auroc"][2] == [None] * 4
    assert "of 2 heads" in str(report)
    assert "only 2 of 12 heads were measured; where these prompts picked them, AUROC and p flatter" in str(report)
    assert "not held against" in str(report)
    with pytest.raises(ValueError, match="layer 3 head 0"):
        guard.search(unsafe(10), safe(10), candidates=[(3, 0)])
    with pytest.raises(ValueError, match="expected 0 or more permutations, got -1"):
        guard.search(unsafe(10), safe(10), permutations=-1)
