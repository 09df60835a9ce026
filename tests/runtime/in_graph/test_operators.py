"""Sums over columns, with few neurons and with many."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, Mahalanobis, MultiRange, RelativeMahalanobis, SingleRange
from outrider.runtime.in_graph import operators

from .fragments import CLASSES, deviations, learned, outside, session


@pytest.mark.parametrize("sizes", [(40,), (16, 24), (5, 4), (3, 3)])
@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), MultiRange(sections=3)], ids=repr)
@pytest.mark.parametrize("largest", [4, operators._LARGEST_MATRIX])
def test_many_neurons_are_summed_as_few_are(criterion, sizes, largest, monkeypatch):
    monkeypatch.setattr(operators, "_LARGEST_MATRIX", largest)
    rng = np.random.default_rng(0)
    trusted = rng.normal(size=(60, sum(sizes))).astype(np.float32)
    new = rng.normal(size=(8, sum(sizes))).astype(np.float32) * 2
    new[3, 0], new[4, -1], new[5, :2] = np.nan, -np.inf, (np.inf, -np.inf)
    labels, predicted = np.arange(60) % CLASSES, np.arange(8) % CLASSES
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    np.testing.assert_allclose(deviations(criterion, signatures, new, predicted), expected, rtol=1e-6)


@pytest.mark.parametrize("sizes", [(5, 4, 7), (3, 3, 3)])
@pytest.mark.parametrize(
    "criterion",
    [SingleRange(), SingleRange(magnitude=True), CoverageBitmap(), MultiRange(), Mahalanobis(), RelativeMahalanobis()],
    ids=repr,
)
@pytest.mark.parametrize("largest", [4, operators._LARGEST_MATRIX])
def test_columns_come_out_in_the_order_asked_for(criterion, sizes, largest, monkeypatch):
    monkeypatch.setattr(operators, "_LARGEST_MATRIX", largest)
    rng = np.random.default_rng(0)
    trusted = rng.normal(size=(60, sum(sizes))).astype(np.float32)
    new = rng.normal(size=(8, sum(sizes))).astype(np.float32) * 2
    labels, predicted = np.arange(60) % CLASSES, np.arange(8) % CLASSES
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    got = deviations(criterion, signatures, new, predicted, order=[2, 0, 1])
    np.testing.assert_allclose(got[:, [2, 0, 1]], expected, rtol=1e-5)


def said(add, values):
    """What nodes behind a row of values say."""
    return session(add, columns=len(values)).run(None, {"x": np.float32([values]), "prediction": [0]})[1][0]


def test_what_is_lost_is_settled_as_infinity():
    lost = np.float32(operators.LOST)
    values = [np.nan, np.inf, lost, np.nextafter(lost, np.float32(0)), -np.inf, 0]
    found = said(lambda ops: ops.settled("y"), values)
    np.testing.assert_array_equal(found, np.float32([np.inf, np.inf, np.inf, values[3], -np.inf, 0]))


def test_small_numbers_keep_their_digits_in_a_logarithm():
    values = np.float32([0, 1e-30, 1e-8, 1e-3, 1, 1e9])
    np.testing.assert_allclose(said(lambda ops: ops.log1p("y"), values), np.log1p(values.astype(float)), rtol=1e-6)
    counts = np.float32([0, 1, 2, 700])
    np.testing.assert_allclose(said(lambda ops: ops.log1p("y", whole=True), counts), np.log1p(counts), rtol=1e-6)


def test_the_highest_columns_come_in_their_order():
    for opset in (9, 10, 17):
        runs = session(lambda ops: ops.highest("y", 3), opset, columns=5)
        found = runs.run(None, {"x": np.float32([[2, -1, 7, 7, 3]]), "prediction": [0]})[1]
        assert found.tolist() == [[7, 7, 3]]


def test_parts_come_in_the_order_asked_for():
    assert operators.in_order(["a", "b", "c"], [2, 0, 1]) == ["b", "c", "a"]
    assert operators.in_order(["a", "b"], None) == ["a", "b"]
