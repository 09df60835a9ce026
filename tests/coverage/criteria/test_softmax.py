"""The surprise of logits and of distributions."""

from __future__ import annotations

import numpy as np

from outrider.coverage import Softmax

from ..samples import learn


def test_softmax_reads_logits_and_distributions_alike():
    logits = np.random.default_rng(0).normal(0, 5, (20, 7)).astype(np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    signature = learn(Softmax(), logits, np.zeros(20, int), 1)
    expected = -np.log(shares.max(axis=1))
    for values in (logits, logits + 1000, shares):
        deviation = Softmax().deviation(signature, values.astype(np.float32), np.zeros(len(values), int))
        np.testing.assert_allclose(deviation, expected, atol=2e-4)
