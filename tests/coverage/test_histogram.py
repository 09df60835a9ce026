"""Shares and quantiles read from a histogram, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import MultiRange
from outrider.coverage.histogram import cumulative_share, quantile_range

from .samples import CLASSES, NEURONS, learn, relu_data


def histogram(values, labels):
    return learn(MultiRange(8), values, labels).arrays  # 64 sections


def test_shares_are_those_of_numpy_to_within_a_section():
    values, labels = relu_data(n=3000)
    arrays = histogram(values, labels)
    for c in range(CLASSES):
        own = values[labels == c]
        points = np.linspace(own.min(axis=0), own.max(axis=0), 7).T
        exact = (own[:, :, None] <= points).mean(axis=0)
        fullest = arrays["counts"][c].max(axis=1, keepdims=True) / len(own)
        assert (abs(cumulative_share(arrays, c, points) - exact) <= fullest + 1e-12).all()


def test_nothing_lies_below_the_lowest_and_all_at_or_below_the_highest():
    values, labels = relu_data()
    arrays = histogram(values, labels)
    low, high = (arrays[name][0].astype(np.float64) for name in ("low", "high"))
    points = np.stack([np.nextafter(low, -np.inf), high, high + 1], axis=1)
    np.testing.assert_array_equal(cumulative_share(arrays, 0, points), [[0, 1, 1]] * NEURONS)


@pytest.mark.parametrize("quantile", [0.02, 0.25])
def test_quantiles_are_those_of_numpy_to_within_a_section(quantile):
    values, labels = relu_data(n=5000)
    arrays = histogram(values, labels)
    low, high = quantile_range(arrays, quantile)
    for c in range(CLASSES):
        own, section = values[labels == c], 1 / arrays["scale"][c]
        for bound, level in ((low, quantile), (high, 1 - quantile)):
            assert (abs(bound[c] - np.quantile(own, level, axis=0)) <= section).all()


def test_a_class_never_observed_keeps_an_empty_range():
    values, _ = relu_data()
    low, high = quantile_range(histogram(values, np.zeros(len(values), int)), 0.1)
    assert np.isfinite(low[0]).all()
    assert (low[1] > high[1]).all()
