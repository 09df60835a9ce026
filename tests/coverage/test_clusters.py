"""Clusters of points: by hand, and against all ways to split them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from outrider.coverage.clusters import centres_of, clusters_of

LINE = np.array([[0.0], [1], [10], [11], [100], [101]])


@pytest.mark.parametrize(
    ("improvement", "most", "expected"),
    [
        (0.9, 6, [0, 0, 1, 1, 2, 2]),  # the sum of squares falls from 12,135 to 101.5, to 1.5, to 1
        (0.99, 6, [0, 0, 0, 0, 1, 1]),
        (0.995, 6, [0, 0, 0, 0, 0, 0]),
        (0.5, 6, [0, 0, 1, 1, 2, 2]),
        (0.5, 2, [0, 0, 0, 0, 1, 1]),
        (0.5, 1, [0, 0, 0, 0, 0, 0]),
        (0.01, 6, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_clusters_are_made_as_long_as_they_improve(improvement, most, expected):
    labels = clusters_of(LINE, np.ones(6), improvement, most)
    assert len(set(zip(labels, expected, strict=True))) == len(set(expected)) == len(set(labels))


def test_two_clusters_are_the_best_split_there_is():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        points, weights = rng.normal(size=(9, 2)), rng.integers(1, 4, 9).astype(float)
        points[:4] += 4

        def spread(labels, points=points, weights=weights):
            total = 0.0
            for k in set(labels):
                own = np.array(labels) == k
                centre = np.average(points[own], axis=0, weights=weights[own])
                total += (np.square(points[own] - centre).sum(axis=1) * weights[own]).sum()
            return total

        best = min(spread(labels) for labels in product((0, 1), repeat=9))
        assert spread(clusters_of(points, weights, 0.01, 2)) == pytest.approx(best)


def test_a_weight_counts_as_so_many_points():
    rng = np.random.default_rng(3)
    points, weights = rng.normal(size=(12, 3)), rng.integers(1, 5, 12)
    labels = clusters_of(points, weights.astype(float), 0.2, 5)
    repeated = clusters_of(np.repeat(points, weights, axis=0), np.ones(weights.sum()), 0.2, 5)
    assert len(set(labels)) > 1
    np.testing.assert_array_equal(np.repeat(labels, weights), repeated)


def test_equal_points_are_one_cluster():
    assert clusters_of(np.full((5, 2), 0.1), np.ones(5), 0.01, 4).tolist() == [0] * 5
    assert clusters_of(np.zeros((1, 2)), np.ones(1), 0.01, 4).tolist() == [0]


def test_centres_are_the_means_of_clusters():
    assert sorted(centres_of(LINE, 3).ravel()) == [0.5, 10.5, 100.5]
    assert sorted(centres_of(LINE + 1e6, 2).ravel()) == [1e6 + 5.5, 1e6 + 100.5]
    assert centres_of(LINE, 1).tolist() == [[LINE.mean()]]
    assert sorted(centres_of(LINE, 9).ravel()) == LINE.ravel().tolist()


def test_centres_are_no_more_than_points_that_differ():
    twice = np.array([[1.0, 2], [1, 2], [3, 4], [1, 2]])
    assert sorted(centres_of(twice, 4).tolist()) == [[1, 2], [3, 4]]
    assert centres_of(twice[:1], 3).tolist() == [[1, 2]]


def test_centres_lie_as_well_as_the_best_of_many_random_starts():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 4)) + 6 * rng.normal(size=(8, 4))[rng.integers(0, 8, 300)]

    def left(centres):
        return np.square(points[:, None] - centres).sum(axis=2).min(axis=1).sum()

    found = [points[rng.choice(300, 8, replace=False)] for _ in range(30)]
    for _ in range(50):
        found = [
            np.stack([points[near == c].mean(axis=0) if (near == c).any() else centres[c] for c in range(8)])
            for centres in found
            for near in [np.square(points[:, None] - centres).sum(axis=2).argmin(axis=1)]
        ]
    assert left(centres_of(points, 8)) <= 1.05 * min(map(left, found))
