"""A network of pictures in plain numpy, with a first layer that sees edges and a late one that sees colours."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, Margin, SingleRange
from outrider.monitor import Monitor, OutriderWarning
from outrider.networks import Network, Observation, Tap, Taps

SIZE, CLASSES, LATE = 12, 3, 8


class PictureNetwork(Network):
    """Edges to the right and below, their means with those of the colours in a late layer, and class scores."""

    engine = "numpy"
    preprocessing = None
    classes = CLASSES

    def __init__(self, channels=3, last=False, seed=5):
        rng = np.random.default_rng(seed)
        self.last = last
        self.input_shape = (SIZE, SIZE, channels) if last else (channels, SIZE, SIZE)
        self.fingerprint = f"{seed:064x}"
        self.weights = rng.normal(0, 1, (2 * channels + channels, LATE)).astype(np.float32)
        self.scores_of = rng.normal(0, 1, (LATE, CLASSES)).astype(np.float32)
        edges = (2 * channels, SIZE, SIZE)
        self.taps = Taps(
            [
                Tap("edges", "relu", edges, "NCHW", "float32", "unit"),
                Tap("edges", "relu", edges, "NCHW", "float32", "pixel"),
                Tap("late", "relu", (LATE,), "NC", "float32", "unit"),
                Tap("scores", "output", (CLASSES,), "NC", "float32", "unit"),
            ]
        )

    def observe(self, batch):
        x = np.moveaxis(batch, 3, 1) if self.last else batch
        right, below = np.abs(np.diff(x, axis=3, append=x[..., -1:])), np.abs(np.diff(x, axis=2, append=x[:, :, -1:]))
        edges = np.concatenate([right, below], 1).astype(np.float32)
        pooled = np.concatenate([edges.mean((2, 3)), x.mean((2, 3))], 1).astype(np.float32)
        late = np.maximum(pooled @ self.weights, 0)
        scores = late @ self.scores_of
        places = np.ascontiguousarray(np.moveaxis(edges, 1, 3).reshape(-1, edges.shape[1]))
        return Observation(scores, scores, (edges.reshape(len(x), -1), places, late, scores))

    def run(self, batch):
        return self.observe(batch).output

    def close(self):
        pass


def pictures(n, seed=0, channels=3):
    """Colours that change slowly over the picture, with a little grain: (n, channels, SIZE, SIZE) from -1 to 3."""
    rng = np.random.default_rng(seed)
    at = np.linspace(0, 1, SIZE, dtype=np.float32)
    corner, down, right = rng.random((3, n, channels, 1, 1), np.float32)
    smooth = (corner + down * at[:, None] + right * at) / 3
    grain = rng.normal(0, 0.01, smooth.shape)
    return (4 * np.clip(smooth + grain, 0, 1) - 1).astype(np.float32)


CRITERIA = {"edges:unit": SingleRange(), "edges:pixel": Mahalanobis(), "late": Mahalanobis(), "@output": Margin()}


def calibrated(network, channels=3):
    """Profiled on 600 pictures and calibrated at 10 % on 300 others."""
    arrange = (lambda x: np.ascontiguousarray(np.moveaxis(x, 1, 3))) if network.last else (lambda x: x)
    monitor = Monitor(network, CRITERIA)
    monitor.profile([arrange(pictures(600, 1, channels))], minimum_per_class=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # of so few pictures, which is no matter here
        monitor.calibrate([arrange(pictures(300, 2, channels))], 0.1, accept_rate=1)
    return monitor


@pytest.fixture(scope="session")
def taught():
    """A monitor that has learned kinds; tests leave it as it is."""
    monitor = calibrated(PictureNetwork())
    monitor.learn_kinds([pictures(300, 2)], examples=20)
    return monitor
