"""Distances under a covariance of each class against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import ClassMahalanobis, Mahalanobis

from ..samples import learn, relu_data


def covariances(values, labels, shared, shrinkage):
    """By hand, for two classes."""
    centred = [values[labels == c].astype(np.float64) for c in (0, 1)]
    centred = [rows - rows.mean(axis=0) for rows in centred]
    neurons, whole = values.shape[1], sum(rows.T @ rows for rows in centred) / len(values)
    for rows in centred:
        covariance = (rows.T @ rows + shared * neurons * whole) / (len(rows) + shared * neurons)
        identity = np.trace(covariance) / neurons * np.eye(neurons)
        yield (1 - shrinkage) * covariance + shrinkage * identity


@pytest.mark.parametrize(("shared", "shrinkage"), [(1.0, 1e-3), (0.0, 0.2), (30.0, 1.0)])
def test_it_is_the_distance_under_the_covariance_of_the_class(shared, shrinkage):
    values, labels = relu_data(neurons=7)
    values[labels == 1] *= np.linspace(1, 4, 7, dtype=np.float32)
    new, new_labels = relu_data(seed=6, n=50, neurons=7)
    criterion = ClassMahalanobis(shared=shared, shrinkage=shrinkage)
    deviation = criterion.deviation(learn(criterion, values, labels), new, new_labels)
    means = np.stack([values[labels == c].mean(axis=0, dtype=np.float64) for c in (0, 1)])
    inverse = np.stack([np.linalg.inv(one) for one in covariances(values, labels, shared, shrinkage)])
    step = new - means[new_labels]
    np.testing.assert_allclose(
        deviation, np.sqrt(np.einsum("ni,nij,nj->n", step, inverse[new_labels], step)), rtol=1e-4
    )


def test_with_the_covariance_of_all_it_is_mahalanobis():
    values, labels = relu_data(neurons=6)
    one, other = ClassMahalanobis(shared=1e6), Mahalanobis()
    deviations = [c.deviation(learn(c, values, labels), values, labels) for c in (one, other)]
    np.testing.assert_allclose(*deviations, rtol=1e-4)


def test_a_sample_is_near_in_a_wide_class_and_far_in_a_narrow_one():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    values = (rng.normal(size=(400, 3)) * np.array([1, 10])[labels][:, None]).astype(np.float32)
    criterion = ClassMahalanobis()
    far = np.full((2, 3), 8, np.float32)
    narrow, wide = criterion.deviation(learn(criterion, values, labels), far, np.array([0, 1]))
    assert narrow > 3 * wide


def test_a_class_of_one_sample_takes_the_covariance_of_all():
    values, labels = relu_data(n=200, neurons=4, classes=1)
    labels[:1] = 1
    criterion = ClassMahalanobis(shrinkage=1e-6)
    deviation = criterion.deviation(learn(criterion, values, labels), values[:30], np.ones(30, int))
    # One sample has no squares of its own, and counts beside four of those of all classes.
    centred = values[1:].astype(np.float64) - values[1:].mean(axis=0, dtype=np.float64)
    covariance = 4 * (centred.T @ centred / 200) / (1 + 4)
    step = values[:30] - values[0].astype(np.float64)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", step, np.linalg.inv(covariance), step))
    np.testing.assert_allclose(deviation, expected, rtol=1e-3)


def test_what_is_too_large_or_no_covariance_is_refused():
    with pytest.raises(ValueError, match=r"at most 67,108,864 numbers.* got 1,000 x 512 squared; take mahalanobis"):
        ClassMahalanobis().empty(512, 1000)
    with pytest.raises(ValueError, match=r"expected shared of 0 or more, got -1.0"):
        ClassMahalanobis(shared=-1.0)
    signature = learn(ClassMahalanobis(), *relu_data(neurons=3))
    signature.arrays["squares"][1, 0, 2] += 100
    with pytest.raises(ValueError, match="class 1: expected a covariance, got 'one that is none'"):
        ClassMahalanobis().restore(3, signature.counts, signature.arrays)
