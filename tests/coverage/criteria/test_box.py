"""Boxes against those around the clusters of scikit-learn, and what holds for any samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import Box, SingleRange

from ..samples import CLASSES, learn, relu_data, samples


def blobs(seed=0, n=90, neurons=6):
    """Three blobs in class 0, one in class 1."""
    rng = np.random.default_rng(seed)
    labels, blob = rng.integers(0, CLASSES, n), rng.integers(0, 3, n)
    centres = rng.normal(0, 20, (3, neurons))
    centres = np.where(labels[:, None] == 0, centres[blob], centres[0])
    return (centres + rng.normal(0, 1, (n, neurons))).astype(np.float32), labels


def boxes_of_the_paper(values, improvement):
    """One cluster more as long as the inertia falls by that share; of each its lowest and highest."""
    cluster = pytest.importorskip("sklearn.cluster")
    found = cluster.KMeans(1, n_init=1, random_state=0).fit(values)
    while found.n_clusters < len(values):
        more = cluster.KMeans(found.n_clusters + 1, n_init=10, random_state=0).fit(values)
        if 1 - more.inertia_ / found.inertia_ < improvement:
            break
        found = more
    clusters = [values[found.labels_ == k] for k in range(found.n_clusters)]
    return sorted((tuple(own.min(axis=0)), tuple(own.max(axis=0))) for own in clusters)


@pytest.mark.parametrize("seed", range(4))
def test_with_all_samples_kept_it_is_the_monitor_of_the_paper(seed):
    values, labels = blobs(seed)
    criterion = Box(improvement=0.4)
    signature = learn(criterion, values, labels)
    new = np.concatenate([values, blobs(seed + 50)[0], values[::-1] + 0.4]).astype(np.float32)
    for c, number in ((0, 3), (1, 1)):
        expected = boxes_of_the_paper(values[labels == c], 0.4)
        assert len(expected) == number
        found = sorted((tuple(low), tuple(high)) for low, high in zip(*criterion.bounds(signature, c), strict=True))
        assert found == expected
        deviation = criterion.deviation(signature, new, np.full(len(new), c))
        inside = [any(((low <= v) & (v <= high)).all() for low, high in expected) for v in new]
        np.testing.assert_array_equal(deviation == 0, inside)
        assert 0 < np.count_nonzero(inside) < len(new)


def test_one_box_is_a_range_with_magnitudes():
    values, labels = relu_data(n=100)
    new, new_labels = relu_data(seed=5, n=100)
    one, ranges = Box(boxes=1), SingleRange(magnitude=True)
    deviation = one.deviation(learn(one, values, labels), new * 2, new_labels)
    expected = ranges.deviation(learn(ranges, values, labels), new * 2, new_labels)
    np.testing.assert_allclose(deviation, expected, rtol=1e-5)
    np.testing.assert_array_equal(deviation == 0, expected == 0)
    assert deviation.any()


def test_distances_are_to_the_nearest_box_in_widths_of_the_class():
    values, labels = blobs()
    criterion = Box(improvement=0.4)
    signature = learn(criterion, values, labels)
    new = np.random.default_rng(9).normal(0, 30, (50, 6)).astype(np.float32)
    deviation = criterion.deviation(signature, new, np.zeros(50, int))
    low, high = criterion.bounds(signature, 0)
    beyond = np.maximum(np.maximum(low - new[:, None], new[:, None] - high), 0)
    expected = (beyond / (high.max(axis=0) - low.min(axis=0))).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(deviation, expected, rtol=1e-5)


@given(trusted=samples, seed=st.integers(0, 9), cut=st.integers(0, 40))
@settings(deadline=None, max_examples=40)
def test_no_trusted_sample_lies_outside_however_few_cells_there_are(trusted, seed, cut):
    criterion, order = Box(capacity=4, improvement=0.01), np.random.default_rng(seed).permutation(len(trusted))
    labels = order % CLASSES
    whole = learn(criterion, trusted, labels)
    merged = criterion.merge(*(learn(criterion, trusted[rows], labels[rows]) for rows in (order[cut:], order[:cut])))
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(merged.arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(criterion.deviation(merged, trusted, labels), 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"improvement": 0.0}, r"improvement in \(0, 1\), got 0.0"),
        ({"boxes": 65}, "1 to 64 boxes, got 65"),
        ({"capacity": 1}, "capacity of at least 2, got 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Box(**settings)
    with pytest.raises(ValueError, match="expected a signature of Box"):
        Box().bounds(SingleRange().empty(3, 1), 0)
