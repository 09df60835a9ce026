from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from outrider.monitor.heads.discriminant import cross_validated_lda, fit_lda, fit_logistic


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    unsafe = np.arange(40) < 18
    values = rng.normal(0, 1, (40, 3, 5)) @ rng.normal(0, 1, (5, 5)) + 2
    return (values + unsafe[:, None, None] * rng.normal(0, 1, (1, 3, 5))).astype(np.float32), unsafe


@pytest.mark.parametrize("shrinkage", [0.05, 0.3, 1.0])
def test_the_discriminant_is_that_of_scikit_learn(data, shrinkage):
    values, unsafe = data
    weights, bias = fit_lda(values, unsafe, shrinkage)
    for head in range(3):
        # with equal priors sklearn pools the two covariances by them; here by the number of prompts
        theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(values[:, head], unsafe)
        cosine = weights[head] @ theirs.coef_[0] / np.linalg.norm(weights[head]) / np.linalg.norm(theirs.coef_[0])
        assert cosine > 0.999 if shrinkage < 1 else cosine > 0.999999
        middle = (values[unsafe, head].mean(axis=0) + values[~unsafe, head].mean(axis=0)) / 2
        assert weights[head] @ middle + bias[head] == pytest.approx(0, abs=1e-5)


def test_cross_validated_scores_are_those_of_a_fit_without_the_fold(data):
    values, unsafe = data
    rng = np.random.default_rng(5)
    folds = np.arange(40) % 4
    labels = np.stack([unsafe, *(rng.permutation(unsafe) for _ in range(3))], axis=1)
    found = cross_validated_lda(values, labels, folds, 0.3)
    assert found.shape == (3, 40, 4)
    for p in range(4):
        for fold in range(4):
            train, test = folds != fold, folds == fold
            weights, bias = fit_lda(values[train], labels[train, p], 0.3)
            expected = np.einsum("nhd,hd->hn", values[test], weights) + bias[:, None]
            np.testing.assert_allclose(found[:, test, p], expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(cross_validated_lda(values, labels[:, :1], folds, 0.3), found[..., :1], rtol=1e-6)


def test_heads_that_are_constant_or_perfect_give_finite_scores():
    values = np.zeros((12, 2, 3), np.float32)
    unsafe = np.arange(12) < 6
    values[unsafe, 1, 0] = 1
    weights, bias = fit_lda(values, unsafe, 0.3)
    crossed = cross_validated_lda(values, np.stack([unsafe, unsafe], axis=1), np.arange(12) % 3, 0.3)[..., 0]
    assert np.isfinite(weights).all()
    assert np.isfinite(bias).all()
    assert np.isfinite(crossed).all()
    assert not crossed[0].any()
    assert crossed[1, unsafe].min() > 0 > crossed[1, ~unsafe].max()


def test_logistic_regression_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (60, 7)) * np.array([1, 10, 0.1, 1, 1, 1, 0]) + 4
    unsafe = x[:, 0] + rng.normal(0, 1, 60) > 4
    weights, bias = fit_logistic(x, unsafe, 0.5)
    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    theirs = LogisticRegression(C=2, tol=1e-10, max_iter=10_000).fit((x - x.mean(axis=0)) / scale, unsafe)
    np.testing.assert_allclose(weights * scale, theirs.coef_[0], atol=1e-4)
    np.testing.assert_allclose(x @ weights + bias, theirs.decision_function((x - x.mean(axis=0)) / scale), atol=1e-3)
