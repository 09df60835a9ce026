"""Votes of single neurons against means and standard deviations of numpy."""

from __future__ import annotations

import numpy as np

from outrider.coverage import Gaussian

from ..samples import learn, relu_data


def test_gaussian_votes_beyond_two_standard_deviations():
    values, labels = relu_data()
    new, new_labels = relu_data(seed=5, n=50)
    deviation = Gaussian().deviation(learn(Gaussian(), values, labels), new, new_labels)
    for v, c, got in zip(new, new_labels, deviation, strict=True):
        of_class = values[labels == c].astype(np.float64)
        assert got == (abs(v - of_class.mean(axis=0)) > 2 * of_class.std(axis=0)).sum()
