"""Patterns, ranks, boxes and heads as tensors, against the kernels."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.coverage import NeuronRank, parse_criterion  # noqa: E402
from outrider.monitor.device.forms import forms_of  # noqa: E402

from .cases import hold  # noqa: E402


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("text", ["pattern", "nearest_neighbour", "nearest_neighbour(k=3)", "head(channels=4)"])
def test_counts_are_those_of_the_host(text, classes):
    hold(parse_criterion(text), classes, rtol=0)


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("text", ["box", "neuron_rank", "neuron_rank(top=2)"])
def test_sums_are_those_of_the_host(text, classes):
    hold(parse_criterion(text), classes, rtol=1e-6)


def test_of_equal_neurons_the_first_is_the_higher():
    criterion = NeuronRank(top=2)
    signature = criterion.empty(8, 1)
    criterion.observe(signature, np.eye(8, dtype=np.float32)[[1, 1, 5]], np.zeros(3, np.int64))
    rows = np.float32([[0, 1, 0, 0, 0, 1, 0, 0], [0] * 8])
    ((form, _),) = forms_of(criterion, [signature])
    found = form(torch.from_numpy(rows), torch.zeros(2, dtype=torch.int64))[:, 0]
    np.testing.assert_allclose(found, criterion.deviation(signature, rows, np.zeros(2, np.int64)), rtol=1e-6)
