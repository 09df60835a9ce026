"""The energy of logits against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Energy, describe_criterion, parse_criterion

from ...samples import CLASSES, learn, relu_data


def test_it_is_the_energy_below_the_highest_of_the_class():
    logits, labels = relu_data(neurons=7)
    energies = np.log(np.exp(logits.astype(np.float64)).sum(axis=1))
    highest = np.array([energies[labels == c].max() for c in range(CLASSES)])
    assert abs(highest[0] - highest[1]) > 0.1
    new, new_labels = relu_data(seed=6, n=50, neurons=7)
    new[0] += 100  # higher than all that was seen
    deviation = Energy().deviation(learn(Energy(), logits, labels), new, new_labels)
    expected = np.maximum(highest[new_labels] - np.log(np.exp(new.astype(np.float64)).sum(axis=1)), 0)
    np.testing.assert_allclose(deviation, expected, rtol=1e-6)
    assert deviation[0] == 0
    assert (deviation > 0).sum() > 40


def test_the_sample_of_the_highest_energy_deviates_by_nothing_and_all_others_by_more():
    logits, labels = relu_data(neurons=3)
    signature = learn(Energy(), logits, labels)
    deviation = Energy().deviation(signature, logits, labels)
    assert [np.count_nonzero(deviation[labels == c] == 0) for c in range(CLASSES)] == [1, 1]


def test_scores_of_any_size_have_an_energy():
    logits = np.float32([[3e38, -3e38], [-3e38, -3e38], [1000, 999]])
    signature = learn(Energy(), logits, np.zeros(3, int), 1)
    deviation = Energy().deviation(signature, logits, np.zeros(3, int))
    assert deviation.tolist() == [0, np.inf, np.float32(3e38)]


def test_probabilities_are_refused():
    assert Energy().for_scores("logits") == Energy() == parse_criterion("energy")
    assert describe_criterion(Energy()) == {"name": "energy"}
    with pytest.raises(ValueError, match=r"that are logits, got probabilities, .* take margin or softmax"):
        Energy().for_scores("probabilities")


@pytest.mark.parametrize("energy", [np.inf, -np.inf])
def test_a_stored_energy_that_is_none_is_refused(energy):
    signature = learn(Energy(), *relu_data(neurons=3))
    signature.arrays["highest"][1] = energy
    with pytest.raises(ValueError, match=r"class 1, highest energy 0: expected a finite energy .* got -?inf"):
        Energy().restore(3, signature.counts, signature.arrays)
