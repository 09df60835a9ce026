"""The distance to the k-th nearest sample, as nodes in ONNX Runtime, against the kernel."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Neighbours

from .fragments import CLASSES, deviations, learned, outside


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    "criterion",
    [Neighbours(samples=50, centres=4), Neighbours(k=3, samples=20), Neighbours(k=9, samples=9, normalise=False)],
    ids=repr,
)
@pytest.mark.parametrize(("opset", "sizes"), [(9, (16, 24)), (12, (40,)), (13, (5, 3)), (18, (1, 7)), (21, (7, 7))])
def test_distances_are_those_of_the_kernel(criterion, opset, sizes, many):
    """Class 0 has 6 samples, fewer than one k. Products of many rows cancel out for a sample that is kept."""
    rng = np.random.default_rng(sum(sizes))
    trusted = rng.normal(size=(80, sum(sizes))).astype(np.float32) + 1
    labels = np.where(np.arange(80) < 6, 0, 1 + np.arange(80) % (CLASSES - 1))
    new, predicted = rng.normal(size=(25, sum(sizes))).astype(np.float32) * 2, np.arange(25) % CLASSES
    new[3, 0], new[4, -1], new[5], new[6] = np.nan, -np.inf, 0, trusted[0]
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    order, near = np.roll(np.arange(len(sizes)), 1), 3e-3 if many else 1e-5
    got = deviations(criterion, signatures, new, predicted, opset, order=order, many=many)[:, order]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=near)
    one = deviations(criterion, signatures, new[::3], predicted[::3], opset, by_class=False, many=many)
    np.testing.assert_allclose(one, expected[::3], rtol=1e-4, atol=near)


@pytest.mark.parametrize("many", [False, True])
def test_vectors_have_a_length_or_are_lost(many):
    rng, criterion = np.random.default_rng(0), Neighbours(samples=50)
    trusted = rng.normal(size=(80, 8)).astype(np.float32)
    new, labels = rng.normal(size=(9, 8)).astype(np.float32), np.zeros(9, np.int64)
    signatures = learned(criterion, trusted, np.zeros(80, np.int64), (8,))
    for size in (1e-15, 1, 1e15):
        some = new * np.float32(size)
        got = deviations(criterion, signatures, some, labels, many=many)
        np.testing.assert_allclose(got, outside(criterion, signatures, some, labels), rtol=1e-4)
    too_large = deviations(criterion, signatures, new * np.float32(1e30), labels, many=many)
    assert np.isposinf(too_large).all()
    plain = Neighbours(samples=50, normalise=False)
    signatures = learned(plain, trusted, np.zeros(80, np.int64), (8,))
    assert np.isposinf(deviations(plain, signatures, new * np.float32(1e30), labels, many=many)).all()
