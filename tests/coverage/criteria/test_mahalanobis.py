"""The distance of a layer against the inverse of numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis

from ..samples import CLASSES, learn, relu_data


def test_mahalanobis_is_the_distance_under_the_shared_covariance():
    values, labels = relu_data(neurons=13)
    new, new_labels = relu_data(seed=6, n=50, neurons=13)
    deviation = Mahalanobis().deviation(learn(Mahalanobis(), values, labels), new, new_labels)
    means = np.stack([values[labels == c].mean(axis=0, dtype=np.float64) for c in range(CLASSES)])
    centred = values - means[labels]
    covariance = centred.T @ centred / len(values)
    covariance = 0.999 * covariance + 0.001 * np.trace(covariance) / 13 * np.eye(13)
    step = new - means[new_labels]
    expected = np.sqrt(np.einsum("ni,ij,nj->n", step, np.linalg.inv(covariance), step))
    np.testing.assert_allclose(deviation, expected, rtol=1e-4)


def test_mahalanobis_of_a_layer_that_never_moved_is_finite_for_the_same_value():
    still = np.ones((10, 4), np.float32)
    signature = learn(Mahalanobis(), still, np.zeros(10, int), 1)
    assert Mahalanobis().deviation(signature, still[:1], np.zeros(1, int)) == 0


def test_a_covariance_too_large_is_refused():
    with pytest.raises(ValueError, match="expected at most 4096 neurons for a full covariance, got 5000"):
        Mahalanobis().empty(5000, 2)
