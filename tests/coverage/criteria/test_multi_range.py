"""Costs of sections against the formulas and identities of the paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from outrider.coverage import MultiRange, SingleRange

from ..samples import CLASSES, NEURONS, learn, relu_data, samples


@given(trusted=samples, new=samples)
@settings(deadline=None)
def test_multi_range_with_one_section_is_single_range(trusted, new):
    labels, new_labels = np.zeros(len(trusted), int), np.zeros(len(new), int)
    one = MultiRange(sections=1)
    np.testing.assert_array_equal(
        one.deviation(learn(one, trusted, labels), new, new_labels),
        SingleRange().deviation(learn(SingleRange(), trusted, labels), new, new_labels),
    )


def exact_shares(values, sections):
    """λ of the paper for one class: (neurons, sections)."""
    low, high = values.min(axis=0), values.max(axis=0)
    width = (high - low) / sections
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.where(width > 0, np.clip(np.ceil((values - low) / width), 1, sections), 1).astype(int)
    return np.stack([(q == k).mean(axis=0) for k in range(1, sections + 1)], axis=1)


@pytest.mark.parametrize("sections", [2, 8, 32])
def test_shares_of_sections_are_close_to_the_papers(sections):
    values, labels = relu_data(n=8000)
    criterion = MultiRange(sections)
    signature = learn(criterion, values, labels)
    for c in range(CLASSES):
        exact, shares = exact_shares(values[labels == c].astype(np.float64), sections), criterion.shares(signature, c)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        # two borders, each inside one fine section: at most a quarter of the smallest power-of-two grid each
        bound = 2 * max(np.histogram(v, 4 * sections)[0].max() for v in values[labels == c].T) / (labels == c).sum()
        assert abs(exact - shares).max() <= bound
        assert abs(exact - shares).mean() < 0.15 / sections


@pytest.mark.parametrize("cost", ["share", "log"])
def test_multi_range_sums_the_cost_of_each_section(cost):
    values, labels = relu_data()
    new, new_labels = relu_data(seed=1, n=60)
    new[::7] += 9
    criterion = MultiRange(4, cost)
    signature = learn(criterion, values, labels)
    deviation = criterion.deviation(signature, new, new_labels)
    for v, c, got in zip(new, new_labels, deviation, strict=True):
        of_class, shares, expected = values[labels == c], criterion.shares(signature, c), 0.0
        never = 0.5 / len(of_class)
        for j in range(NEURONS):
            low, high = of_class[:, j].min(), of_class[:, j].max()
            share = 0.0
            if low <= v[j] <= high:
                share = shares[j, min(max(int(np.ceil((v[j] - low) / (high - low) * 4)), 1), 4) - 1]
            expected += 1 - share if cost == "share" else -np.log(max(share, never))
        assert got == pytest.approx(expected, rel=1e-4)
