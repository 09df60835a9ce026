"""Lengths of rows, by numpy."""

import numpy as np

from outrider.coverage.kernels.distances.lengths import length_deviation


def test_lengths_are_those_of_numpy():
    rng = np.random.default_rng(1)
    values, labels = rng.normal(size=(30, 7)).astype(np.float32), rng.integers(0, 3, 30)
    values[4] = 0
    mean, spread = rng.normal(size=3), rng.uniform(0.1, 2, 3)
    out = np.empty(30, np.float32)
    length_deviation(values, labels, mean, spread, 1e-6, out)
    lengths = np.log(np.maximum(np.linalg.norm(values.astype(float), axis=1), 1e-6))
    np.testing.assert_allclose(out, np.abs(lengths - mean[labels]) / spread[labels], rtol=1e-5)


def test_a_length_that_is_the_mean_deviates_by_nothing():
    out = np.empty(1, np.float32)
    length_deviation(np.array([[1.0]], np.float32), np.zeros(1, np.int64), np.zeros(1), np.ones(1), 1e-6, out)
    assert out[0] == 0
