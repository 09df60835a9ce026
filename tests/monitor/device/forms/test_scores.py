"""Criteria of class scores as tensors, against the kernels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.coverage import Margin, Softmax, parse_criterion  # noqa: E402
from outrider.monitor.device.forms import forms_of  # noqa: E402

from .cases import hold  # noqa: E402


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("name", ["softmax", "margin", "energy"])
def test_of_logits_they_are_those_of_the_host(name, classes):
    hold(parse_criterion(name), classes, rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "margin"])
def test_of_probabilities_they_are_those_of_the_host(name):
    hold(dataclasses.replace(parse_criterion(name), scores="probabilities"), 4, rtol=1e-6, shares=True)


@pytest.mark.parametrize("scores", ["logits", "probabilities"])
@pytest.mark.parametrize("kind", [Softmax, Margin])
def test_scores_without_a_highest_and_without_a_second(kind, scores):
    criterion = kind(scores=scores)
    for rows in ([[0, 0, 0], [1, 0, 0], [2, 2, 1]], [[0.0], [0.5], [1.0]]):
        values = np.float32(rows)
        signature = criterion.empty(values.shape[1], 1)
        criterion.observe(signature, values, np.zeros(3, np.int64))
        ((form, _),) = forms_of(criterion, [signature])
        found = form(torch.from_numpy(values), torch.zeros(3, dtype=torch.int64))[:, 0]
        expected = criterion.deviation(signature, values, np.zeros(3, np.int64))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
