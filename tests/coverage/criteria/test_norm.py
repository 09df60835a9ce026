"""The length of a vector against its class."""

import numpy as np
import pytest

from outrider.coverage import Norm


def test_the_deviation_is_in_standard_deviations_of_the_logarithm():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(60, 4)) * rng.uniform(1, 5, (60, 1))).astype(np.float32)
    labels = np.arange(60) % 2
    criterion = Norm()
    signature = criterion.empty(4, 3)
    criterion.observe(signature, values, labels)
    lengths = np.log(np.linalg.norm(values.astype(float), axis=1))
    new = np.array([[1, 2, 2, 0], [0, 0, 0, 0], [3e20, 3e20, 0, 0]], np.float32)
    expected = []
    for c in (0, 1):
        own = lengths[labels == c]
        logs = np.log([3, np.finfo(np.float32).tiny, np.hypot(3e20, 3e20)])
        expected.append(np.abs(logs - own.mean()) / own.std())
    for c in (0, 1):
        np.testing.assert_allclose(criterion.deviation(signature, new, np.full(3, c)), expected[c], rtol=1e-5)
    assert np.isinf(criterion.deviation(signature, new, np.full(3, 2))).all()


def test_lengths_that_are_all_alike_have_a_spread_of_a_thousandth():
    criterion = Norm()
    signature = criterion.empty(2, 1)
    criterion.observe(signature, np.array([[3, 4], [4, 3], [5, 0]], np.float32), np.zeros(3, int))
    found = criterion.deviation(signature, np.array([[0, 5], [0, 10]], np.float32), np.zeros(2, int))
    assert found == pytest.approx([0, np.log(2) / 1e-3], rel=1e-5, abs=1e-3)


def test_the_direction_tells_nothing():
    criterion = Norm()
    signature = criterion.empty(3, 1)
    criterion.observe(signature, np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32), np.zeros(20, int))
    rows = np.array([[1, 2, 2], [2, -1, 2], [-3, 0, 0]], np.float32)
    found = criterion.deviation(signature, rows, np.zeros(3, int))
    assert found == pytest.approx([found[0]] * 3)
