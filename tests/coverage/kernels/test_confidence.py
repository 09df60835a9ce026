"""The surprise of class scores against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage.kernels import confidence

from .made_up import values


@given(values(st.floats(-80, 80, width=32)))
@settings(deadline=None)
def test_surprise_is_minus_the_log_of_the_highest_softmax(scores):
    out = np.empty(len(scores), np.float32)
    scores[:, 0] = -1  # so that no row is a distribution
    confidence.softmax_surprise(scores, out)
    shares = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(out, np.log(shares.sum(axis=1)), rtol=1e-6, atol=1e-6)


def test_a_distribution_is_taken_as_it_is():
    out = np.empty(4, np.float32)
    rows = np.array([[0.25, 0.75], [0, 1], [0.25, 0.7], [-0.25, 1.25]], np.float32)
    confidence.softmax_surprise(rows, out)
    softmax = np.log(np.exp(rows[2:] - rows[2:].max(axis=1, keepdims=True)).sum(axis=1))
    np.testing.assert_allclose(out, [-np.log(0.75), 0, *softmax], rtol=1e-6)
