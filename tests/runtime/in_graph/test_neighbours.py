"""The distance to the k-th nearest sample, as nodes in ONNX Runtime, against the kernel."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Neighbours

from .fragments import CLASSES, deviations, learned, outside


@pytest.mark.parametrize(
    "criterion",
    [Neighbours(samples=50), Neighbours(k=3, samples=50, directions=4), Neighbours(k=90, samples=90, normalise=False)],
    ids=repr,
)
@pytest.mark.parametrize(("opset", "sizes"), [(9, (16, 24)), (12, (40,)), (13, (5, 3)), (18, (1, 7)), (21, (7, 7))])
def test_distances_are_those_of_the_kernel(criterion, opset, sizes):
    """Of 90 neighbours there are 80: the farthest counts."""
    rng = np.random.default_rng(sum(sizes))
    trusted = rng.normal(size=(80, sum(sizes))).astype(np.float32) + 1
    new, predicted = rng.normal(size=(25, sum(sizes))).astype(np.float32) * 2, np.arange(25) % CLASSES
    new[3, 0], new[4, -1], new[5], new[7:9] = np.nan, -np.inf, 0, trusted[:2]
    signatures = learned(criterion, trusted, np.arange(80) % CLASSES, sizes)
    expected = outside(criterion, signatures, new, predicted)
    order = np.roll(np.arange(len(sizes)), 1)
    got = deviations(criterion, signatures, new, predicted, opset, order=order)[:, order]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_vectors_of_any_size_have_a_length():
    rng, criterion = np.random.default_rng(0), Neighbours(samples=50)
    trusted = rng.normal(size=(80, 8)).astype(np.float32)
    new, labels = rng.normal(size=(9, 8)).astype(np.float32), np.zeros(9, np.int64)
    signatures = learned(criterion, trusted, np.zeros(80, np.int64), (8,))
    for size in (1e-30, 1, 1e30):
        some = new * np.float32(size)
        got = deviations(criterion, signatures, some, labels)
        np.testing.assert_allclose(got, outside(criterion, signatures, some, labels), rtol=1e-4)
