"""Workers that learn shards, and what their parts make."""

from __future__ import annotations

import numpy as np

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Energy,
    Gaussian,
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
from outrider.monitor import Monitor

from ..conftest import NumpyNetwork

EVERY = {
    "hidden": [
        SingleRange(), SingleRange(quantile=0.1), MultiRange(4), NeuronRank(4), NearestNeighbour(capacity=40),
        Neighbours(samples=30, centres=4), Pattern(capacity=50), Box(capacity=20), Gaussian(), Mahalanobis(),
        ClassMahalanobis(), RelativeMahalanobis(), CoverageBitmap(), Norm(),
    ],
    "@output": [Softmax(), Margin(), Energy(), Mahalanobis()],
}  # fmt: skip
"""All criteria that go on plain neurons."""


def learned(data, shard, criteria=EVERY, **settings):
    """The part of one worker, which has a network of its own."""
    return Monitor(NumpyNetwork(), criteria).profile_part(data, shard, **settings)


def parts(data, workers, criteria=EVERY, **settings):
    """The parts of all workers as the bytes of their files."""
    return [bytes(learned(data, (k, workers), criteria, **settings)) for k in range(workers)]


def whole(given, path, **settings):
    """The bytes of the file of the profile that parts make."""
    Monitor.merge(given, NumpyNetwork(), **settings).save(path)
    return path.read_bytes()


def shuffled(given, seed=0):
    return [given[i] for i in np.random.default_rng(seed).permutation(len(given))]
