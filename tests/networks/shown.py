"""Networks that show what functions make of their frames, for the tests of binding and matching."""

from __future__ import annotations

import hashlib

import numpy as np

from outrider.networks import Network, Observation, Tap, Taps


class Fake(Network):
    """Shows tensors that are functions of its frames: {tap: function}; the output is the sum over a frame, twice."""

    classes = 2
    dtype = "float32"
    preprocessing = None

    def __init__(self, shown, engine="one", shape=(4,), scores=None):
        self.engine = engine
        self.input_shape = shape
        self.fingerprint = hashlib.sha256(repr(shown).encode()).hexdigest()
        self._shown = list(shown.values())
        self._scores = scores or (
            lambda x: np.stack([x.sum(tuple(range(1, x.ndim))), 1 - x[:, 0].ravel()[: len(x)]], 1)
        )
        output = Tap("scores", "output", (2,), "NC", "float32", "unit")
        self.taps = Taps([*shown, output])
        self.fed = []

    def observe(self, batch):
        self.fed.append(batch)
        scores = self._scores(batch)
        activations = tuple(np.ascontiguousarray(function(batch)) for function in self._shown)
        return Observation(scores, scores, (*activations, scores))

    def run(self, batch):
        return self._scores(batch)

    def close(self):
        pass


def tap(name, kind="relu", size=4, paths=(), dtype="float32", neurons="unit"):
    if neurons != "unit":
        return Tap(name, kind, (size, 5, 5), "NCHW", dtype, neurons, paths)
    return Tap(name, kind, (size,), "NC", dtype, "unit", paths)


def frames(n=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


def first(x):
    return np.maximum(x, 0)


def second(x):
    return np.abs(x[:, ::-1]) + 1


def third(x):
    return x**2


def bound(binding):
    return [(row.a.name, row.b.name, row.how) for row in binding.rows]
