"""Distances with a matrix for each class, as nodes in ONNX Runtime, against the kernel."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import ClassMahalanobis

from .fragments import CLASSES, deviations, learned, outside


@pytest.mark.parametrize(("opset", "sizes"), [(9, (16, 24)), (12, (40,)), (13, (5, 3)), (18, (1, 7)), (21, (7, 7))])
@pytest.mark.parametrize("many", [False, True])
def test_distances_are_those_of_the_kernel(opset, sizes, many):
    """Class 0 has 6 samples."""
    criterion = ClassMahalanobis()
    rng = np.random.default_rng(sum(sizes))
    trusted = rng.normal(size=(80, sum(sizes))).astype(np.float32) + 1
    labels = np.where(np.arange(80) < 6, 0, 1 + np.arange(80) % (CLASSES - 1))
    new, predicted = rng.normal(size=(25, sum(sizes))).astype(np.float32) * 2, np.arange(25) % CLASSES
    new[3, 0], new[4, -1], new[5], new[6], new[7] = np.nan, -np.inf, 0, trusted[0], 1e25
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    order = np.roll(np.arange(len(sizes)), 1)
    got = deviations(criterion, signatures, new, predicted, opset, order=order, many=many)[:, order]
    sure = np.delete(np.arange(25), 7)
    np.testing.assert_allclose(got[sure], expected[sure], rtol=1e-4, atol=1e-4)
    lost = np.isposinf(got[7]) | np.isclose(got[7], expected[7], rtol=1e-4)  # or its square is too large
    assert lost.all()
    alone = deviations(criterion, signatures, new[:1], predicted[:1], opset, order=order, many=many)
    np.testing.assert_allclose(alone[0, order], expected[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("many", [False, True])
def test_of_one_class_and_of_classes_that_are_not_there(many):
    criterion, rng = ClassMahalanobis(), np.random.default_rng(0)
    trusted, new = (rng.normal(size=(n, 6)).astype(np.float32) for n in (30, 9))
    signatures = learned(criterion, trusted, np.zeros(30, np.int64), (4, 2))  # the others have seen nothing
    nowhere = np.zeros(9, np.int64)
    expected = outside(criterion, signatures, new, nowhere)
    for by_class in (False, True):
        got = deviations(criterion, signatures, new, nowhere, by_class=by_class, many=many)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    mixed = deviations(criterion, signatures, new, np.arange(9) % CLASSES, many=many)
    np.testing.assert_allclose(mixed[::CLASSES], expected[::CLASSES], rtol=1e-4, atol=1e-5)
    assert not many or np.isposinf(np.delete(mixed, np.s_[::CLASSES], axis=0)).all()
