"""The surprise of logits and of probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import SingleRange, Softmax, check_criterion, describe_criterion, parse_criterion

from ...samples import learn


def test_softmax_reads_logits_and_probabilities_alike():
    logits = np.random.default_rng(0).normal(0, 5, (20, 7)).astype(np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = -np.log(shares.max(axis=1))
    of_shares = Softmax(scores="probabilities")
    for criterion, values in ((Softmax(), logits), (Softmax(), logits + 1000), (of_shares, shares)):
        signature = learn(criterion, values.astype(np.float32), np.zeros(20, int), 1)
        deviation = criterion.deviation(signature, values.astype(np.float32), np.zeros(len(values), int))
        np.testing.assert_allclose(deviation, expected, atol=2e-4)


def test_rows_of_probabilities_need_not_sum_to_1():
    """Those of an int8 softmax: a second softmax made 0.23 of 0.99."""
    criterion, rows = Softmax(scores="probabilities"), np.float32([[0.99, 0, 0, 0, 0], [0.5, 0.49, 0, 0, 0]])
    signature = learn(criterion, rows, np.zeros(2, int), 1)
    found = criterion.deviation(signature, rows, np.zeros(2, int))
    np.testing.assert_allclose(found, [-np.log(0.99), np.log(2)], rtol=1e-5)


def test_the_kind_of_scores_is_that_of_the_network():
    told = Softmax().for_scores("probabilities")
    assert told == Softmax(scores="probabilities") == told.for_scores("probabilities")
    assert SingleRange().for_scores("probabilities") == SingleRange()
    with pytest.raises(ValueError, match="expected scores 'logits', as the network's are, got 'probabilities'"):
        told.for_scores("logits")
    with pytest.raises(ValueError, match="expected scores 'logits' or 'probabilities', got 'odds'"):
        Softmax(scores="odds")


def test_what_is_written_of_logits_is_as_before():
    assert (repr(Softmax()), describe_criterion(Softmax())) == ("Softmax()", {"name": "softmax"})
    told = Softmax(scores="probabilities")
    assert describe_criterion(told) == {"name": "softmax", "scores": "probabilities"}
    assert parse_criterion("softmax(scores=probabilities)") == eval(repr(told)) == told  # noqa: S307
    check_criterion(told)
