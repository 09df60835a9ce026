"""Distances to kept samples and to their centres against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Neighbours
from outrider.coverage.clusters import centres_of

from ..samples import CLASSES, learn, relu_data


def unit(rows):
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros(rows.shape), where=lengths > 0)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("k", [1, 4, 30])
def test_it_is_the_distance_to_the_kth_nearest_of_the_class(k, normalise):
    """Of 30 for class 1, which has 20: the farthest counts."""
    values, _ = relu_data(n=100, neurons=6)
    labels = (np.arange(100) >= 80).astype(int)
    new, new_labels = relu_data(seed=4, n=40, neurons=6)
    new[3] = 0
    criterion = Neighbours(k=k, samples=100, normalise=normalise)
    deviation = criterion.deviation(learn(criterion, values, labels), new, new_labels)
    kept, rows = (unit(a) if normalise else a.astype(np.float64) for a in (values, new))
    for row, c, got in zip(rows, new_labels, deviation, strict=True):
        apart = np.sort(np.linalg.norm(kept[labels == c] - row, axis=1))
        np.testing.assert_allclose(got, apart[min(k, len(apart)) - 1], rtol=1e-5, atol=1e-6)


def test_centres_stand_for_the_samples_of_a_class():
    """Three directions in each class, whatever the lengths."""
    rng = np.random.default_rng(0)
    middles = unit(rng.normal(size=(6, 9)))
    kind = np.arange(240) % 6
    values = (middles[kind] + rng.normal(0, 0.02, (240, 9))) * rng.uniform(1, 50, (240, 1))
    criterion = Neighbours(samples=100, centres=3)
    signature = learn(criterion, values.astype(np.float32), kind // 3)
    deviation = criterion.deviation(signature, middles.astype(np.float32), np.arange(6) // 3)
    assert deviation.max() < 0.05
    other = criterion.deviation(signature, middles.astype(np.float32), 1 - np.arange(6) // 3)
    assert other.min() > 0.3
    for c in range(CLASSES):
        centres = centres_of(unit(signature.arrays["samples"][c]), 3)
        expected = np.linalg.norm(middles[:, None] - centres, axis=2).min(axis=1)
        got = criterion.deviation(signature, middles.astype(np.float32), np.full(6, c))
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_class_of_fewer_samples_than_centres_has_a_centre_for_each():
    values, labels = relu_data(n=6)
    criterion = Neighbours(centres=4)
    signature = learn(criterion, values, labels * 0)
    few = learn(criterion, values[:2], labels[:2] * 0)
    assert criterion.deviation(few, values[:2], labels[:2] * 0).max() < 1e-6
    assert (criterion.deviation(signature, values, labels * 0) > 1e-3).any()


def test_a_bank_is_a_bounded_choice_of_the_samples_of_each_class():
    values, labels = relu_data(n=500)
    signature = learn(Neighbours(samples=16), values, labels)
    for c in range(CLASSES):
        trusted = {row.tobytes() for row in values[labels == c]}
        assert len({row.tobytes() for row in signature.arrays["samples"][c]} & trusted) == 16


def test_the_length_of_a_vector_does_not_count_once_it_is_normalised():
    values, labels = relu_data(n=50)
    for criterion, same in ((Neighbours(), True), (Neighbours(normalise=False), False)):
        signature = learn(criterion, values, labels)
        far = criterion.deviation(signature, values * np.float32(1e6), labels)
        assert (far < 1e-6).all() if same else (far > 1e4).any()
        huge = criterion.deviation(signature, np.full((1, values.shape[1]), 3e38, np.float32), np.zeros(1, int))
        assert (huge < 2).all() if same else np.isposinf(huge).all()


def test_a_trusted_sample_is_its_own_neighbour_by_products_too():
    """Of products alone, 3e-4 would be left."""
    values, labels = relu_data(n=64, neurons=40)
    signature, out = learn(Neighbours(samples=64), values, labels), np.empty(64, np.float32)
    Neighbours(samples=64).comparer(signature, 64, rows_a_frame=64)(values, labels, out)
    assert out.max() < 1e-6


def test_samples_of_one_number_are_kept_once():
    assert Neighbours(k=2, normalise=False).keeps() == Neighbours(centres=9).keeps() != Neighbours(samples=9).keeps()


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"expected 1 <= k <= samples, got \(5, 4\)"):
        Neighbours(k=5, samples=4)
    with pytest.raises(ValueError, match=r"expected 1 <= k <= centres, got \(3, 2\)"):
        Neighbours(k=3, centres=2)
    with pytest.raises(ValueError, match=r"expected 0 <= centres <= samples, got \(9, 8\)"):
        Neighbours(samples=8, centres=9)
    with pytest.raises(ValueError, match=r"samples of at most 67,108,864 numbers, .* got 2 x 512 x 70,000; take fewer"):
        Neighbours().empty(70_000, 2)
