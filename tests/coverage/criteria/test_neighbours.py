"""Distances to kept samples against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Neighbours

from ..samples import learn, relu_data


def unit(rows):
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros(rows.shape), where=lengths > 0)


@pytest.mark.parametrize("directions", [0, 4])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_it_is_the_distance_to_the_kth_nearest_of_all_classes(k, normalise, directions):
    """Of 100 there are 90: the farthest counts."""
    values, labels = relu_data(n=90, neurons=6)
    new, new_labels = relu_data(seed=4, n=40, neurons=6)
    new[3] = 0
    criterion = Neighbours(k=k, samples=100, normalise=normalise, directions=directions)
    deviation = criterion.deviation(learn(criterion, values, labels), new, new_labels)
    kept, rows = (unit(a) if normalise else a.astype(np.float64) for a in (values, new))
    if directions:  # the principal components
        axes = np.linalg.eigh(np.cov(kept.T))[1][:, -directions:]
        kept, rows = kept @ axes, rows @ axes
    apart = np.sort(np.linalg.norm(rows[:, None] - kept, axis=2), axis=1)
    np.testing.assert_allclose(deviation, apart[:, min(k, 90) - 1], rtol=1e-4, atol=1e-6)


def test_a_bank_is_a_bounded_choice_of_all_samples():
    values, labels = relu_data(n=500)
    signature = learn(Neighbours(samples=16), values, labels)
    trusted = {row.tobytes() for row in values}
    kept = {row.tobytes() for row in signature.arrays["samples"][0]}
    assert len(kept & trusted) == len(kept) == 16


def test_the_length_of_a_vector_does_not_count_once_it_is_normalised():
    values, labels = relu_data(n=50)
    for criterion, same in ((Neighbours(), True), (Neighbours(normalise=False), False)):
        signature = learn(criterion, values, labels)
        far = criterion.deviation(signature, values * np.float32(1e6), labels)
        assert (far < 1e-6).all() if same else (far > 1e4).any()
        huge = criterion.deviation(signature, np.full((1, values.shape[1]), 3e38, np.float32), np.zeros(1, int))
        assert (huge < 2).all() if same else (huge > 3e38).all()


@pytest.mark.parametrize("directions", [0, 10])
def test_a_trusted_sample_is_its_own_neighbour_by_products_too(directions):
    """Of products alone, 3e-4 would be left."""
    values, labels = relu_data(n=64, neurons=40)
    criterion, out = Neighbours(samples=64, directions=directions), np.empty(64, np.float32)
    signature = learn(criterion, values, labels)
    criterion.comparer(signature, 64, rows_a_frame=64)(values, labels, out)
    assert out.max() < 1e-5


def test_banks_of_one_size_are_kept_once():
    assert Neighbours(k=2, normalise=False).keeps() == Neighbours().keeps() != Neighbours(samples=9).keeps()


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"expected 1 <= k <= samples, got \(5, 4\)"):
        Neighbours(k=5, samples=4)
    with pytest.raises(ValueError, match="expected directions of 1 or more, or 0 for all, got -1"):
        Neighbours(directions=-1)
    with pytest.raises(ValueError, match=r"bank of at most 67,108,864 numbers, .* got 1,024 x 70,000; take channels"):
        Neighbours().empty(70_000, 2)
