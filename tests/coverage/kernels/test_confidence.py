"""The surprise of class scores against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage.kernels import confidence

from .made_up import labels, quarters, values


@given(values(st.floats(-80, 80, width=32)))
@settings(deadline=None)
def test_surprise_is_minus_the_log_of_the_highest_softmax(scores):
    out = np.empty(len(scores), np.float32)
    confidence.softmax_surprise(scores, out)
    shares = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(out, np.log(shares.sum(axis=1)), rtol=1e-6, atol=1e-6)


def test_logits_that_sum_to_1_are_logits():
    out = np.empty(2, np.float32)
    confidence.softmax_surprise(np.float32([[0.25, 0.75], [0, 1]]), out)
    np.testing.assert_allclose(out, np.log(1 + np.exp([-0.5, -1])), rtol=1e-6)


def test_surprise_of_probabilities_is_minus_the_log_of_the_highest():
    rows = np.float32([[0.25, 0.75], [0, 1], [0.3, 0.69], [0.5, 1.01], [0, 0], [-1, -2]])
    out = np.empty(len(rows), np.float32)
    confidence.surprise(rows, out)
    np.testing.assert_allclose(out, [-np.log(0.75), 0, -np.log(0.69), 0, np.inf, np.inf], rtol=1e-6)


@given(values(quarters | st.floats(-80, 80, width=32)))
@settings(deadline=None)
def test_margins_are_those_of_the_two_highest(scores):
    out = np.empty(len(scores), np.float32)
    confidence.inverse_margin(scores, out)
    ordered = np.sort(scores.astype(np.float64), axis=1)
    np.testing.assert_array_equal(out, (1 / np.maximum(ordered[:, -1] - ordered[:, -2], 1e-6)).astype(np.float32))
    shares = np.exp(np.clip(scores, -40, 40)).astype(np.float32)
    confidence.inverse_margin_of_shares(shares, out)
    ordered = np.log(np.sort(shares.astype(np.float64), axis=1))
    np.testing.assert_allclose(out, 1 / np.maximum(ordered[:, -1] - ordered[:, -2], 1e-6), rtol=1e-6)


@given(values(quarters | st.floats(-(2.0**100), 2.0**100, width=32)))
@settings(deadline=None)
def test_energies_below_the_highest_of_a_class(scores):
    c = labels(len(scores))
    energies = np.logaddexp.reduce(scores.astype(np.float64), axis=1)
    highest = np.array([-np.inf, 2.0, 0.0])
    expected = [max([start, *energies[c == k]]) for k, start in enumerate(highest)]
    confidence.highest_energy(scores, c, highest)
    np.testing.assert_allclose(highest, expected, rtol=1e-12)
    out = np.empty(len(scores), np.float32)
    confidence.below_highest_energy(scores, c, highest - 1, out)
    np.testing.assert_allclose(out, np.maximum(highest[c] - 1 - energies, 0), rtol=1e-6, atol=1e-12)
    confidence.below_highest_energy(scores, c, highest, out)
    assert all((out[c == k] == 0).any() for k in np.unique(c) if highest[k] not in (0, 2))


def test_margins_on_their_bound_and_of_one_score():
    step = 2.0**-20
    rows, out = np.float32([[8, 8 + step], [8 + 2 * step, 8], [8, 8]]), np.empty(3, np.float32)
    confidence.inverse_margin(rows, out)
    assert out.tolist() == np.float32([1e6, 1 / (2 * step), 1e6]).tolist()
    for kernel in (confidence.inverse_margin, confidence.inverse_margin_of_shares):
        kernel(np.float32([[0.5], [1], [3]]), out)
        assert out.tolist() == [0, 0, 0]
    confidence.inverse_margin_of_shares(np.float32([[0, 0], [0.5, -0.1], [-1, -2]]), out)
    assert out.tolist() == [np.inf, 0, np.inf]
