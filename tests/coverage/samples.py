"""Data to learn from, and strategies that make it up."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Energy,
    Gaussian,
    HeadCoverage,
    Mahalanobis,
    Margin,
    MultiRange,
    NearestNeighbour,
    Neighbours,
    NeuronRank,
    Norm,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)

CRITERIA = [
    SingleRange(),
    SingleRange(quantile=0.05),
    SingleRange(magnitude=True),
    SingleRange(quantile=0.02, magnitude=True),
    MultiRange(),
    MultiRange(sections=1),
    MultiRange(sections=8, cost="log"),
    CoverageBitmap(),
    CoverageBitmap(sections=3),
    NeuronRank(),
    NeuronRank(top=200),
    NearestNeighbour(capacity=20),
    NearestNeighbour(k=3),
    Gaussian(),
    HeadCoverage(channels=5),
    HeadCoverage(channels=1, sections=3, capacity=20),
    Mahalanobis(),
    RelativeMahalanobis(),
    ClassMahalanobis(),
    ClassMahalanobis(shared=0.0, shrinkage=0.1),
    Neighbours(samples=20, centres=4),
    Neighbours(k=3, normalise=False),
    Norm(),
    Pattern(),
    Pattern(capacity=20),
    Box(),
    Box(improvement=0.01, capacity=20),
    Softmax(),
    Margin(),
    Energy(),
]
CLASSES, NEURONS = 2, 5
finite = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
samples = arrays(np.float32, st.tuples(st.integers(1, 40), st.just(NEURONS)), elements=finite)
some_codes = arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(NEURONS)), elements=st.integers(0, 255))


def relu_data(seed=0, n=400, neurons=NEURONS, classes=CLASSES):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    values = np.maximum(rng.normal(labels[:, None], 1, (n, neurons)), 0).astype(np.float32)
    return values, labels


def learn(criterion, values, labels, classes=CLASSES):
    signature = criterion.empty(values.shape[1], classes)
    criterion.observe(signature, values, labels)
    return signature
