"""The highest neurons against a stable sort."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import NeuronRank

from ..samples import CLASSES, learn, relu_data


def test_neuron_rank_weighs_the_rare_among_the_highest():
    values, labels = relu_data(neurons=16)
    new, new_labels = relu_data(seed=3, n=30, neurons=16)
    criterion = NeuronRank(top=4)
    signature = learn(criterion, values, labels)
    ranked = np.argsort(-values, axis=1, kind="stable")[:, :4]
    share = np.stack([[(ranked[labels == c] == j).any(axis=1).mean() for j in range(16)] for c in range(CLASSES)])
    weights = 1 / np.log2(np.arange(2, 6))
    for v, c, got in zip(new, new_labels, criterion.deviation(signature, new, new_labels), strict=True):
        top = np.argsort(-v, kind="stable")[:4]
        assert got == pytest.approx(np.average(1 - share[c][top], weights=weights), rel=1e-5)
