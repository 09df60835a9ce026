"""Distances as tensors, against the kernels."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.coverage import Mahalanobis, Neighbours, RelativeMahalanobis, parse_criterion  # noqa: E402
from outrider.monitor.device.forms import forms_of  # noqa: E402

from .cases import asked, hold, learned, on_host  # noqa: E402


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize(
    "text", ["mahalanobis", "class_mahalanobis", "norm", "neighbours", "neighbours(centres=5)",
             "neighbours(k=3, samples=40, normalise=False)"],
)  # fmt: skip
def test_distances_are_those_of_the_host(text, classes):
    hold(parse_criterion(text), classes, rtol=3e-6)


def test_relative_distances_are_those_of_the_host():
    hold(RelativeMahalanobis(), 4, rtol=1e-5)


def test_columns_of_one_size_share_a_product_and_come_back_in_their_order():
    signatures, known = learned(Mahalanobis(), 2, sizes=(12, 5, 12, 5))
    ((form, lot),) = forms_of(Mahalanobis(), signatures)
    assert lot == [0, 1, 2, 3]
    assert form.lots == [[1, 3], [0, 2]]
    values, labels = asked(known), np.arange(64) % 2
    labels[:] = 0
    found = form(torch.from_numpy(np.concatenate(values, 1)), torch.from_numpy(labels))
    np.testing.assert_allclose(found, on_host(Mahalanobis(), signatures, values, labels), rtol=3e-6)


def test_numbers_whose_products_overflow_deviate_by_infinity():
    signatures, _ = learned(Mahalanobis(), 1, sizes=(8,))
    ((form, _),) = forms_of(Mahalanobis(), signatures)
    huge = torch.full((1, 8), 3e38)
    huge[0, ::2] = -3e38
    assert torch.isinf(form(huge, torch.zeros(1, dtype=torch.int64))).all()


def test_a_class_of_fewer_samples_than_k_has_its_farthest_one():
    criterion, rng = Neighbours(k=5, samples=8, normalise=False), np.random.default_rng(0)
    signature = criterion.empty(3, 2)
    rows = rng.normal(0, 1, (9, 3)).astype(np.float32)
    criterion.observe(signature, rows, np.array([0] * 7 + [1] * 2))
    asked_of = rng.normal(0, 1, (2, 3)).astype(np.float32)
    ((form, _),) = forms_of(criterion, [signature])
    found = form(torch.from_numpy(asked_of), torch.tensor([0, 1]))[:, 0]
    of_first = np.sort(np.linalg.norm(rows[:7] - asked_of[0], axis=1))[4]
    of_second = np.linalg.norm(rows[7:] - asked_of[1], axis=1).max()
    np.testing.assert_allclose(found, [of_first, of_second], rtol=1e-6)
