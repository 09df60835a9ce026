"""Bounds of a class and neuron against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.coverage import SingleRange

from ..samples import CLASSES, NEURONS, learn, relu_data, samples

anything = arrays(
    np.float32, st.tuples(st.integers(1, 10), st.just(NEURONS)), elements=st.floats(width=32, allow_nan=True)
)


def outside(values, labels, trusted, trusted_labels):
    """SRC in plain numpy, neuron by neuron."""
    result = []
    for v, c in zip(values, labels, strict=True):
        of_class = trusted[trusted_labels == c]
        result.append(sum(not (of_class[:, j].min() <= v[j] <= of_class[:, j].max()) for j in range(len(v))))
    return np.array(result, np.float32)


@given(trusted=samples, new=anything)
@settings(deadline=None)
def test_single_range_counts_what_lies_outside(trusted, new):
    labels, new_labels = np.zeros(len(trusted), int), np.zeros(len(new), int)
    deviation = SingleRange().deviation(learn(SingleRange(), trusted, labels), new, new_labels)
    expected = outside(new, new_labels, trusted, labels)
    expected[~np.isfinite(new).all(axis=1)] = np.inf
    np.testing.assert_array_equal(deviation, expected)


def test_magnitude_is_the_distance_in_widths_of_the_range():
    trusted = np.array([[0, 2, 1], [4, 6, 1]], np.float32)
    criterion = SingleRange(magnitude=True)
    signature = learn(criterion, trusted, np.zeros(2, int), 1)
    new = np.array([[6, 3, 1], [-4, 2, 3], [4, 6, 1]], np.float32)
    # widths 4, 4 and, for the neuron that never moved, their median 4
    np.testing.assert_allclose(criterion.deviation(signature, new, np.zeros(3, int)), [0.5, 1.5, 0])


@pytest.mark.parametrize("quantile", [0.01, 0.1])
def test_quantile_bounds_are_within_a_section_of_the_true_quantiles(quantile):
    values, labels = relu_data(n=5000)
    criterion = SingleRange(quantile=quantile)
    low, high = criterion._prepare(learn(criterion, values, labels))
    for c in range(CLASSES):
        of_class = values[labels == c]
        section = (of_class.max(axis=0) - of_class.min(axis=0)) / 32
        assert (abs(low[c] - np.quantile(of_class, quantile, axis=0)) <= section).all()
        assert (abs(high[c] - np.quantile(of_class, 1 - quantile, axis=0)) <= section).all()
