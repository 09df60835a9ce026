"""Distances to kept patterns, and which are kept."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import NearestNeighbour

from ..samples import CLASSES, NEURONS, learn, relu_data


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("neurons", [5, 64, 130])
def test_nearest_neighbour_is_the_hamming_distance_to_the_kth_pattern(k, neurons):
    values, labels = relu_data(n=100, neurons=neurons)
    new, new_labels = relu_data(seed=4, n=30, neurons=neurons)
    criterion = NearestNeighbour(k=k, capacity=1000)
    deviation = criterion.deviation(learn(criterion, values, labels), new, new_labels)
    kept = np.unique(np.column_stack([labels, values]), axis=0)  # equal samples are kept once
    reference = np.median(kept[:, 1:], axis=0).astype(np.float32)
    for v, c, got in zip(new, new_labels, deviation, strict=True):
        patterns = kept[kept[:, 0] == c][:, 1:] > reference
        assert got == np.sort((patterns != (v > reference)).sum(axis=1))[k - 1]


def test_nearest_neighbour_keeps_no_more_than_its_capacity_and_does_not_mind_the_order():
    values, labels = relu_data(n=500)
    criterion = NearestNeighbour(capacity=16)
    forward, backward = learn(criterion, values, labels), learn(criterion, values[::-1], labels[::-1])
    np.testing.assert_array_equal(forward.arrays["samples"], backward.arrays["samples"])
    assert forward.arrays["samples"].shape == (CLASSES, 16, NEURONS)
    kept = {row.tobytes() for row in forward.arrays["samples"].reshape(-1, NEURONS)}
    assert kept <= {row.tobytes() for row in values}
