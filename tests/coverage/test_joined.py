"""Many columns in one call against one call a column."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Gaussian,
    Mahalanobis,
    MultiRange,
    NearestNeighbour,
    Neighbours,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    join,
    neuron_parts,
)
from outrider.coverage.joined import LARGEST_COLUMN

JOINABLE = [
    SingleRange(), SingleRange(quantile=0.1), Gaussian(), CoverageBitmap(), MultiRange(4), MultiRange(8, "log"),
    Mahalanobis(), RelativeMahalanobis(),
]  # fmt: skip

COUNTING = [one for one in JOINABLE if not isinstance(one, Mahalanobis)]


def learned(criterion, neurons, rng, classes=3):
    signature = criterion.empty(neurons, classes)
    values = rng.normal(size=(40, neurons)).astype(np.float32)
    criterion.observe(signature, values, rng.integers(0, classes - 1, 40))  # the last class is never seen
    return signature


@pytest.mark.parametrize("criterion", JOINABLE, ids=repr)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 2**32), st.floats(width=32))
@settings(max_examples=30)
def test_columns_together_are_the_columns_one_by_one(criterion, sizes, seed, odd):
    rng = np.random.default_rng(seed)
    signatures = [learned(criterion, neurons, rng) for neurons in sizes]
    values = rng.normal(size=(7, sum(sizes))).astype(np.float32)
    values[rng.integers(7), rng.integers(sum(sizes))] = odd
    labels = rng.integers(0, 3, 7)
    out = np.full((7, len(sizes)), np.nan, np.float32)
    join(criterion, signatures).compare(values, labels, out)
    ends = np.cumsum(sizes)
    for column, (signature, end) in enumerate(zip(signatures, ends, strict=True)):
        part = np.ascontiguousarray(values[:, end - signature.neurons : end])
        np.testing.assert_array_equal(out[:, column], criterion.deviation(signature, part, labels))


def test_columns_are_read_and_written_where_one_says():
    rng = np.random.default_rng(3)
    signatures = [learned(SingleRange(), neurons, rng) for neurons in (2, 3)]
    values, labels = rng.normal(size=(4, 9)).astype(np.float32), rng.integers(0, 3, 4)
    out = np.full((4, 5), -1, np.float32)
    join(SingleRange(), signatures).bound(values, labels, out, positions=[4, 1], starts=[6, 1])()
    for signature, start, position in zip(signatures, (6, 1), (4, 1), strict=True):
        part = values[:, start : start + signature.neurons]
        np.testing.assert_array_equal(out[:, position], SingleRange().deviation(signature, part, labels))
    assert (out[:, [0, 2, 3]] == -1).all()


@pytest.mark.parametrize("criterion", [NearestNeighbour(), Pattern(), Box(), SingleRange(magnitude=True)], ids=repr)
def test_what_has_no_joined_form_is_not_joined(criterion):
    rng = np.random.default_rng(0)
    assert join(criterion, [learned(criterion, 4, rng), learned(criterion, 3, rng)]) is None


def test_large_columns_are_not_copied():
    large = SingleRange().empty(LARGEST_COLUMN + 1, 1)
    assert join(SingleRange(), [large, SingleRange().empty(1, 1)]) is None
    assert join(SingleRange(), [SingleRange().empty(LARGEST_COLUMN, 300)] * 2) is None
    tracemalloc.start()
    assert join(SingleRange(), [large]) is not None
    assert tracemalloc.get_traced_memory()[1] < 4 * LARGEST_COLUMN
    tracemalloc.stop()


@pytest.mark.parametrize("criterion", [*COUNTING, Pattern(), Box(capacity=8)], ids=repr)
def test_the_parts_of_the_neurons_add_up_to_the_deviation(criterion):
    rng = np.random.default_rng(1)
    signature = learned(criterion, 9, rng)
    for label in (0, 1):
        values = rng.normal(size=9).astype(np.float32)
        parts = neuron_parts(criterion, signature)(values, label)
        whole = criterion.deviation(signature, values[None], np.array([label]))
        assert parts.shape == (9,)
        np.testing.assert_allclose(parts.sum(), whole[0], rtol=1e-5)
        values[4] = np.nan
        parts = neuron_parts(criterion, signature)(values, label)
        assert np.flatnonzero(np.isinf(parts)).tolist() == [4]
    assert np.isinf(neuron_parts(criterion, signature)(values, 2)).all()


def test_codes_have_the_parts_of_the_same_numbers():
    signature, rng = SingleRange().empty(6, 1), np.random.default_rng(2)
    SingleRange().observe(signature, rng.integers(50, 90, (30, 6)).astype(np.uint8), np.zeros(30, int))
    codes = np.array([60, 200, 70, 0, 60, 61], np.uint8)
    assert neuron_parts(SingleRange(), signature)(codes, 0).tolist() == [0, 1, 0, 1, 0, 0]


def test_the_parts_of_the_neurons_add_up_to_the_square_of_a_mahalanobis_distance():
    rng = np.random.default_rng(1)
    signature = learned(Mahalanobis(), 9, rng)
    values = rng.normal(size=9).astype(np.float32)
    parts = neuron_parts(Mahalanobis(), signature)(values, 1)
    distance = Mahalanobis().deviation(signature, values[None], np.array([1]))[0]
    np.testing.assert_allclose(parts.sum(), distance**2, rtol=1e-4)
    covariance = signature.arrays["squares"] / signature.counts.sum()
    shrunk = 0.999 * covariance + 0.001 * np.trace(covariance) / 9 * np.eye(9)
    off = values - signature.arrays["mean"][1]
    np.testing.assert_allclose(parts, off * np.linalg.solve(shrunk, off), rtol=1e-3, atol=1e-4)
    values[4] = np.nan
    assert np.flatnonzero(np.isinf(neuron_parts(Mahalanobis(), signature)(values, 1))).tolist() == [4]


@pytest.mark.parametrize(
    "criterion", [ClassMahalanobis(), Neighbours(k=2), Neighbours(centres=3, normalise=False)], ids=repr
)
def test_the_parts_of_the_neurons_add_up_to_the_square_of_other_distances(criterion):
    rng = np.random.default_rng(1)
    signature = learned(criterion, 9, rng)
    values = rng.normal(size=9).astype(np.float32)
    for label in (0, 1):
        parts = neuron_parts(criterion, signature)(values, label)
        distance = criterion.deviation(signature, values[None], np.array([label]))[0]
        np.testing.assert_allclose(parts.sum(), distance**2, rtol=1e-4)
    assert np.isinf(neuron_parts(criterion, signature)(values, 2)).all()
    values[4] = np.inf
    assert np.flatnonzero(np.isinf(neuron_parts(criterion, signature)(values, 1))).tolist() == [4]


def test_the_parts_of_the_neurons_add_up_to_a_relative_distance_above_that_of_the_mean_of_all():
    rng, criterion = np.random.default_rng(1), RelativeMahalanobis()
    signature = learned(criterion, 9, rng)
    centre = np.average(signature.arrays["mean"], axis=0, weights=signature.counts)
    rows = np.stack([rng.normal(size=9), centre]).astype(np.float32)
    for label in (0, 1):
        parts = neuron_parts(criterion, signature)(rows[0], label)
        distance, least = criterion.deviation(signature, rows, np.array([label, label]))
        np.testing.assert_allclose(parts.sum(), distance - least, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("criterion", [NearestNeighbour(), SingleRange(magnitude=True)], ids=repr)
def test_what_is_no_sum_over_neurons_has_no_parts(criterion):
    signature = learned(criterion, 4, np.random.default_rng(0))
    assert neuron_parts(criterion, signature) is None
