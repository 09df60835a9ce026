"""A network in plain numpy, so that the monitor's tests need no engine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, SingleRange, Softmax
from outrider.monitor import Monitor
from outrider.networks import Network, Observation, Tap, Taps

CLASSES, INPUTS, HIDDEN = 3, 6, 16


class NumpyNetwork(Network):
    """logits = W2 relu(W1 x): one hidden tap and the class scores."""

    engine = "numpy"
    input_shape = (INPUTS,)
    preprocessing = None

    def __init__(self, seed=52, classes=CLASSES):
        rng = np.random.default_rng(seed)
        self.first = rng.normal(0, 1, (INPUTS, HIDDEN)).astype(np.float32)
        self.second = rng.normal(0, 1, (HIDDEN, classes or 2)).astype(np.float32)
        self.classes = classes
        self.fingerprint = hashlib.sha256(self.first.tobytes() + self.second.tobytes()).hexdigest()
        taps = [Tap("hidden", "relu", (HIDDEN,), "NC", "float32", "unit")]
        if classes:
            taps.append(Tap("logits", "output", (classes,), "NC", "float32", "unit"))
        self.taps = Taps(taps)
        self.calls = 0

    def run(self, batch):
        return np.maximum(batch @ self.first, 0) @ self.second

    def observe(self, batch):
        self.calls += 1
        hidden = np.maximum(batch @ self.first, 0)
        output = hidden @ self.second
        return Observation(output, output, (hidden, output)) if self.classes else Observation(output, None, (hidden,))

    def close(self):
        pass


def frames(n, seed=0, far=0.0):
    """Inputs around the origin, or `far` from it."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, (n, INPUTS)) + far).astype(np.float32)


def batches(data, size=50, labels=None):
    for start in range(0, len(data), size):
        rows = slice(start, start + size)
        yield data[rows] if labels is None else (data[rows], labels[rows])


@pytest.fixture
def network():
    return NumpyNetwork()


@pytest.fixture
def monitor(network):
    """Profiled on 2,000 frames and calibrated at 5 % on 4,000 others."""
    monitor = Monitor(network, {"hidden": [SingleRange(), Mahalanobis()], "@output": Softmax()})
    monitor.profile(batches(frames(2000)))
    monitor.calibrate(batches(frames(4000, seed=1)), 0.05)
    return monitor
