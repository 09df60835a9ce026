"""Criteria as nodes in ONNX Runtime, against the kernels and against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from outrider.coverage import (
    Box,
    CoverageBitmap,
    Energy,
    Gaussian,
    HeadCoverage,
    Mahalanobis,
    Margin,
    MultiRange,
    Norm,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)

from .fragments import CLASSES, deviations, learned, outside

FINITE = st.floats(-4, 4, width=32) | st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 1e-38, 3e38, -1e38, 1e9, 0.25])
ANY = FINITE | st.sampled_from([np.nan, np.inf, -np.inf])
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def assert_alike(got, expected, values, rtol=0.0):
    """But for finite frames whose sum may overflow: they may be lost."""
    with np.errstate(over="ignore"):
        sums = np.abs(values, dtype=np.float64).sum(axis=1)
    sure = ~(np.isfinite(sums) & (sums > np.finfo(np.float32).max))
    np.testing.assert_allclose(got[sure], expected[sure], rtol=rtol)
    assert (np.isclose(got[~sure], expected[~sure], rtol=rtol) | np.isinf(got[~sure])).all()


@st.composite
def lessons(draw, sizes):
    """Trusted values and labels of every class, and new values: some of them trusted ones, with any odd number."""
    width = sum(sizes)
    trusted = draw(arrays.arrays(np.float32, (6, width), elements=FINITE))
    new = draw(arrays.arrays(np.float32, (5, width), elements=ANY))
    keep = draw(arrays.arrays(np.bool_, (5, width)))
    return trusted, np.arange(6) % CLASSES, np.where(keep, trusted[:5], new), np.arange(5) % CLASSES


@pytest.mark.parametrize("opset", [9, 12, 17, 21])
@pytest.mark.parametrize(
    "criterion",
    [SingleRange(), SingleRange(quantile=0.1), CoverageBitmap(), CoverageBitmap(sections=3), Pattern()],
    ids=lambda criterion: criterion.name,
)
@given(data=st.data())
@QUICK
def test_counts_are_those_of_the_kernels(criterion, opset, data):
    sizes = data.draw(st.sampled_from([(8,), (2, 4), (3, 3), (1, 4, 3)]))
    trusted, labels, new, predicted = data.draw(lessons(sizes))
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    order = data.draw(st.sampled_from([None, np.arange(len(sizes))[::-1]]))
    got = deviations(criterion, signatures, new, predicted, opset, order=order)
    assert_alike(got if order is None else got[:, order], expected, new)


@pytest.mark.parametrize("opset", [9, 12, 21])
@pytest.mark.parametrize("criterion", [MultiRange(sections=5), MultiRange(sections=8, cost="log")], ids=repr)
@given(data=st.data())
@QUICK
def test_sections_are_those_of_the_kernels(criterion, opset, data):
    sizes = data.draw(st.sampled_from([(8,), (2, 4), (1, 4, 3)]))
    trusted, labels, new, predicted = data.draw(lessons(sizes))
    with np.errstate(over="ignore", invalid="ignore"):
        signatures = learned(criterion, trusted, labels, sizes)
        expected = outside(criterion, signatures, new, predicted)
    assert_alike(deviations(criterion, signatures, new, predicted, opset), expected, new, rtol=1e-6)


DISTANCES = [
    SingleRange(magnitude=True),
    Gaussian(),
    Mahalanobis(),
    RelativeMahalanobis(),
    Pattern(20),
    Box(capacity=9),
]


@pytest.mark.parametrize("criterion", DISTANCES, ids=repr)
@pytest.mark.parametrize(("opset", "sizes"), [(9, (16, 24)), (13, (40,)), (18, (5, 3, 32)), (21, (7, 7))])
def test_distances_are_those_of_numpy(criterion, opset, sizes):
    rng = np.random.default_rng(0)
    trusted = rng.normal(size=(200, sum(sizes))).astype(np.float32)
    new = rng.normal(size=(20, sum(sizes))).astype(np.float32) * 2
    new[3, 0], new[4, -1] = np.nan, -np.inf
    labels, predicted = np.arange(200) % CLASSES, np.arange(20) % CLASSES
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    assert np.isinf(expected[3, 0])
    assert np.isinf(expected[4, -1])
    got = deviations(criterion, signatures, new, predicted, opset)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    order = np.roll(np.arange(len(sizes)), 1)
    got = deviations(criterion, signatures, new, predicted, opset, order=order)
    np.testing.assert_allclose(got[:, order], expected, rtol=1e-5, atol=1e-5)
    one = deviations(criterion, signatures, new[::3], predicted[::3], opset, by_class=False)
    np.testing.assert_allclose(one, expected[::3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize(("opset", "sizes"), [(9, (24,)), (13, (16, 8, 16)), (18, (8, 8)), (21, (32, 8))])
def test_heads_in_new_sections_are_those_of_the_kernels(opset, sizes, by_class):
    criterion, rng = HeadCoverage(channels=8), np.random.default_rng(sum(sizes))
    trusted = rng.normal(size=(90, sum(sizes))).astype(np.float32) + 1
    new = rng.normal(size=(60, sum(sizes))).astype(np.float32) * rng.choice([0.3, 1, 4], (60, 1)).astype(np.float32)
    new[0], new[3, 0], new[4, -1] = 0, np.nan, np.inf  # no head speaks; two frames are lost
    new[5:9] = trusted[5:9] / 2  # angles of trusted samples with other norms
    classes = CLASSES if by_class else 1
    labels, predicted = np.arange(90) % classes, np.arange(60) % classes
    signatures = learned(criterion, trusted, labels, sizes)
    expected = outside(criterion, signatures, new, predicted)
    order = None if len(sizes) != 3 else [2, 0, 1]
    got = deviations(criterion, signatures, new, predicted, opset, by_class=by_class, order=order)
    np.testing.assert_array_equal(got if order is None else got[:, order], expected)
    finite = expected[np.isfinite(expected)]
    assert len(np.unique(finite)) > 2


@pytest.mark.parametrize("opset", [9, 13, 18])
def test_surprise_is_that_of_the_kernel(opset):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(12, 8)).astype(np.float32) * np.logspace(-1, 1.5, 12)[:, None].astype(np.float32)
    logits[11] = 25 * np.eye(8)[2]
    shares = np.exp(logits[:6]) / np.exp(logits[:6]).sum(1, keepdims=True)
    odd = np.zeros((4, 8), np.float32)
    odd[1, 2], odd[2, 3], odd[3, :2] = np.nan, np.inf, 5  # equal ones, NaN, Inf, and two that are equally high
    shares[5] *= 0.99
    for criterion, usual in ((Softmax(), logits), (Softmax(scores="probabilities"), shares)):
        scores = np.concatenate([usual, shares, odd]).astype(np.float32)
        labels = np.zeros(len(scores), np.int64)
        signature = criterion.empty(8, 1)
        criterion.observe(signature, logits, np.zeros(12, np.int64))
        expected = criterion.deviation(signature, scores, labels)
        got = deviations(criterion, [signature], scores, labels, opset)[:, 0]
        np.testing.assert_allclose(got, expected, rtol=2e-5)
        assert criterion != Softmax() or expected[:12].min() < 1e-8


@pytest.mark.parametrize("opset", [9, 10, 13, 18])
def test_margins_are_those_of_the_kernel(opset):
    logits = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    logits[8:, 3] = [30, 3e38, -3e38, 5]
    logits[7], logits[11, 4], logits[6, :2] = 2, 5, [9, 9 + 2**-20]  # ties of all, of two, and a margin below 1e-6
    logits[0, 1], logits[1, 2] = np.nan, np.inf
    shares = np.exp(np.clip(logits, -9, 9)) / np.exp(np.clip(logits, -9, 9)).sum(1, keepdims=True)
    shares[2], shares[3], shares[4] = 0, np.eye(8)[2], -0.1  # none above 0, one alone, and below 0
    for criterion, scores in ((Margin(), logits), (Margin(scores="probabilities"), shares)):
        signatures = learned(criterion, logits[6:10], np.zeros(4, np.int64), (6, 2))
        labels = np.zeros(len(scores), np.int64)
        expected = outside(criterion, signatures, scores, labels)
        got = deviations(criterion, signatures, scores, labels, opset, order=[1, 0])[:, ::-1]
        assert_alike(got, expected, scores, rtol=1e-5)
    assert len(np.unique(expected)) > 8
    for criterion in (Margin(), Margin(scores="probabilities")):
        one = criterion.empty(1, 1)
        got = deviations(criterion, [one], np.float32([[0.25], [1]]), np.zeros(2, np.int64), opset)
        assert got.tolist() == [[0], [0]]


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
@pytest.mark.parametrize("by_class", [True, False])
def test_lengths_are_those_of_the_kernel(opset, by_class):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(15, 8)).astype(np.float32) * np.logspace(-3, 3, 15)[:, None].astype(np.float32)
    values[10] = 0
    usual = rng.normal(3, 2, size=(12, 8)).astype(np.float32)
    labels, predicted = np.arange(12) % CLASSES * by_class, np.arange(15) % CLASSES * by_class
    signatures = learned(Norm(), usual, labels, (6, 2))
    expected = outside(Norm(), signatures, values, predicted)
    got = deviations(Norm(), signatures, values, predicted, opset, by_class, order=[1, 0])[:, ::-1]
    assert_alike(got, expected, values, rtol=1e-4)


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
@pytest.mark.parametrize("by_class", [True, False])
def test_energies_are_those_of_the_kernel(opset, by_class):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(15, 8)).astype(np.float32) * np.logspace(-1, 2.5, 15)[:, None].astype(np.float32)
    scores[11:, 3] = [3e38, -3e38, np.nan, np.inf]
    scores[10] = -3e38
    usual = rng.normal(3, 2, size=(12, 8)).astype(np.float32)
    labels, predicted = np.arange(12) % CLASSES * by_class, np.arange(15) % CLASSES * by_class
    signatures = learned(Energy(), usual, labels, (6, 2))
    expected = outside(Energy(), signatures, scores, predicted)
    got = deviations(Energy(), signatures, scores, predicted, opset, by_class, order=[1, 0])[:, ::-1]
    assert_alike(got, expected, scores, rtol=1e-5)
    assert len(np.unique(expected)) > 8
