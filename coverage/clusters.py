"""k-means that gives the same clusters for the same points, and that finds their number."""

from __future__ import annotations

import numpy as np

_MOST_STEPS = 100
_SAME = 1e-12  # of the largest square, which is rounding


def clusters_of(points: np.ndarray, weights: np.ndarray, improvement: float, most: int) -> np.ndarray:
    """The cluster of each point, (n,) int64; clusters are numbered from 0 on and none is empty.

    points: (n, d) float64, n at least 1. weights: (n,), above 0. improvement: a cluster more is made as long as the
    sum of squared distances falls at least by this share (Henzinger et al., ECAI 2020). most: how many are made.

    The next centre starts at the point that lowers the sum most (fast global k-means, Likas, Vlassis and Verbeek,
    Pattern Recognition 2003). All centres then move as Lloyd has it.
    """
    points = points - np.average(points, axis=0, weights=weights)
    between = _squares(points, points)
    centres = np.zeros((1, points.shape[1]))
    labels, distance = np.zeros(len(points), np.int64), np.square(points).sum(axis=1)
    while len(centres) < min(most, len(points)):
        gains = np.maximum(distance[None] - between, 0) @ weights
        found = _lloyd(points, weights, np.vstack([centres, points[gains.argmax()]]))
        before, after = distance @ weights, found[2] @ weights
        if not before > 0 or 1 - after / before < improvement:
            break
        centres, labels, distance = found
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def centres_of(points: np.ndarray, count: int) -> np.ndarray:
    """The centres of so many clusters, or of fewer where no more points differ: (clusters, d) float64.

    points: (n, d) float64, n at least 1. Each centre starts at the point that lowers the sum of squares most, beside
    those before it; then all move as Lloyd has it, once. That takes a fraction of the time of `clusters_of`.
    """
    middle = points.mean(axis=0)
    points = points - middle
    between = _squares(points, points)
    chosen, distance = [], np.full(len(points), np.inf)
    for _ in range(min(count, len(points))):
        reach = np.minimum(distance, between).sum(axis=1)
        chosen.append(int(reach.argmin()))
        distance = np.minimum(distance, between[chosen[-1]])
        if not distance.max() > _SAME * between.max():
            break
    centres: np.ndarray = _lloyd(points, np.ones(len(points)), points[chosen])[0]
    return centres + middle


def _lloyd(points: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres that no longer move, the nearest of each point, and the square of the distance to it."""
    labels = np.full(len(points), -1)
    for _ in range(_MOST_STEPS):
        squares = _squares(points, centres)
        nearest = squares.argmin(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        members = np.eye(len(centres))[labels] * weights[:, None]
        total = members.sum(axis=0)[:, None]
        centres = np.where(total > 0, members.T @ points / np.where(total > 0, total, 1), centres)
    return centres, labels, squares[np.arange(len(points)), labels]


def _squares(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances, (points, centres)."""
    own = [np.square(array).sum(axis=1) for array in (points, centres)]
    squares: np.ndarray = np.maximum(own[0][:, None] + own[1] - 2 * points @ centres.T, 0)
    return squares
