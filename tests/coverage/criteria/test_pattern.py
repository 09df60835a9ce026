"""On/off patterns against sets of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import NearestNeighbour, Pattern, SingleRange

from ..samples import CLASSES, learn, relu_data


@pytest.mark.parametrize("neurons", [5, 64, 130])
def test_it_is_the_monitor_of_the_paper(neurons):
    """Cheng et al.: a pattern is known if one of the class's differs from it in at most `radius` neurons."""
    values, labels = relu_data(n=120, neurons=neurons)
    new, new_labels = relu_data(seed=4, n=40, neurons=neurons)
    signature = learn(Pattern(), values, labels)
    deviation = Pattern().deviation(signature, new, new_labels)
    known = [{tuple(row > 0) for row in values[labels == c]} for c in range(CLASSES)]
    for v, c, got in zip(new, new_labels, deviation, strict=True):
        differences = [sum(a != b for a, b in zip(pattern, v > 0, strict=True)) for pattern in known[c]]
        for radius in range(4):
            assert (got <= radius) == any(difference <= radius for difference in differences)
    assert not Pattern().deviation(signature, values, labels).any()
    assert len(np.unique(deviation)) > 1
    assert Pattern().left_out(signature).tolist() == [0, 0]


def test_a_neuron_at_0_is_off_and_the_next_number_is_on():
    tiny = np.nextafter(np.float32(0), np.float32(1))
    signature = learn(Pattern(), np.float32([[0, 1, -1]]), np.zeros(1, int), 1)
    new = np.float32([[-0.0, tiny, -tiny], [0, 0, 0], [tiny, 0, tiny]])
    assert Pattern().deviation(signature, new, np.zeros(3, int)).tolist() == [0, 1, 3]


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(0, 60))
@settings(deadline=None, max_examples=30)
def test_of_too_many_patterns_the_same_are_kept_and_the_rest_is_counted(seed, capacity, cut):
    rng, criterion = np.random.default_rng(seed), Pattern(capacity=capacity)
    values, labels = rng.integers(-1, 2, (60, 4)).astype(np.float32), rng.integers(0, CLASSES, 60)
    whole = learn(criterion, values, labels)
    order = rng.permutation(60)
    merged = criterion.merge(*(learn(criterion, values[rows], labels[rows]) for rows in (order[:cut], order[cut:])))
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(merged.arrays[name], array)
    for c in range(CLASSES):
        own = values[labels == c] > 0
        known = criterion.deviation(whole, values[labels == c], labels[labels == c]) == 0
        kept = {tuple(row) for row in own[known]}
        assert len(kept) == min(capacity, len(np.unique(own, axis=0)))
        assert criterion.left_out(whole)[c] == np.count_nonzero(~known)


def test_a_signature_of_another_criterion_has_nothing_left_out():
    with pytest.raises(ValueError, match="expected a signature of Pattern"):
        Pattern().left_out(SingleRange().empty(3, 1))
    with pytest.raises(ValueError, match="expected capacity of at least 1, got 0"):
        Pattern(capacity=0)


def test_patterns_take_a_fraction_of_the_memory_of_samples():
    assert Pattern(256).empty(640, 3).nbytes < NearestNeighbour(capacity=256).empty(640, 3).nbytes / 20
