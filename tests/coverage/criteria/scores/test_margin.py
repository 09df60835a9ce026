"""The margin of logits and of probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Margin, Softmax, check_criterion, describe_criterion, parse_criterion

from ...samples import learn


def deviation(criterion, scores):
    scores, labels = np.float32(scores), np.zeros(len(scores), int)
    return criterion.deviation(learn(criterion, scores, labels, 1), scores, labels)


def test_margins_of_logits_and_of_their_probabilities_are_the_same():
    logits = np.random.default_rng(0).normal(0, 5, (30, 7)).astype(np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    ordered = np.sort(logits, axis=1)
    expected = 1 / (ordered[:, -1] - ordered[:, -2])
    np.testing.assert_allclose(deviation(Margin(), logits), expected, rtol=1e-5)
    np.testing.assert_allclose(deviation(Margin(scores="probabilities"), shares), expected, rtol=1e-3)


def test_it_tells_apart_what_a_softmax_of_1_does_not():
    scores = [[100, 0, 0], [60, 0, 0], [40, 0, 0]]
    assert deviation(Softmax(), scores).tolist() == [0, 0, 0]
    assert deviation(Margin(), scores).tolist() == np.float32([1 / 100, 1 / 60, 1 / 40]).tolist()


def test_two_classes_and_one():
    assert deviation(Margin(), [[0, 4], [2, 0], [1, 1]]).tolist() == [0.25, 0.5, 1e6]
    two = deviation(Margin(scores="probabilities"), [[0.25, 0.75], [0.5, 0.5], [1, 0], [0, 0]])
    np.testing.assert_allclose(two, [1 / np.log(3), 1e6, 0, np.inf], rtol=1e-6)
    for criterion in (Margin(), Margin(scores="probabilities")):
        assert deviation(criterion, [[0.5], [1]]).tolist() == [0, 0]


def test_the_kind_of_scores_is_that_of_the_network():
    told = Margin().for_scores("probabilities")
    assert told == Margin(scores="probabilities") == eval(repr(told))  # noqa: S307
    assert told != Softmax(scores="probabilities")
    assert parse_criterion("margin(scores=probabilities)") == told
    assert describe_criterion(Margin()) == {"name": "margin"}
    with pytest.raises(ValueError, match="expected scores 'logits' or 'probabilities', got 'odds'"):
        Margin(scores="odds")
    check_criterion(told)
