"""Networks of several inputs in plain numpy, for the tests of all rooms."""

from __future__ import annotations

import hashlib

import numpy as np

from outrider.networks import Input, Network, Observation, Tap, Taps

SHAPE, HIDDEN, CLASSES = (1, 5, 6), 4, 3


class Fused(Network):
    """A picture and a state vector: hidden = relu(picture W + vector V), scores = hidden U; both also as outputs."""

    engine = "numpy"
    input_shape = SHAPE
    names = ("camera", "speed")

    def __init__(self, seed=3):
        rng = np.random.default_rng(seed)
        self.w = rng.normal(0, 1, (30, 8)).astype(np.float32)
        self.v = rng.normal(0, 1, (HIDDEN, 8)).astype(np.float32)
        self.u = rng.normal(0, 1, (8, CLASSES)).astype(np.float32)
        self.classes = CLASSES
        self.fingerprint = hashlib.sha256(self.w.tobytes() + self.v.tobytes()).hexdigest()
        self.taps = Taps(
            [
                Tap("hidden", "relu", (8,), "NC", "float32", "unit"),
                Tap("scores", "output", (CLASSES,), "NC", "float32", "unit"),
            ]
        )

    @property
    def inputs(self):
        return Input(self.names[0], SHAPE), Input(self.names[1], (HIDDEN,))

    def observe(self, batch):
        camera, speed = batch
        hidden = np.maximum(camera.reshape(len(camera), -1) @ self.w + speed @ self.v, 0)
        scores = hidden @ self.u
        return Observation(self.output(scores, hidden, speed), scores, (hidden, scores))

    def output(self, scores, _hidden, _speed):
        return scores

    def run(self, batch):
        return self.observe(batch).output

    def close(self):
        pass


class Cell(Fused):
    """The same with its vector as a state: new = tanh(hidden[:4] / 4 + state / 2), beside the scores."""

    names = "camera", "h_in"
    output_names = "scores", "h_out"

    def output(self, scores, hidden, speed):
        return scores, np.tanh(hidden[:, :HIDDEN] / 4 + speed / 2)


def fused_frames(n, seed=0):
    """(pictures, vectors) of n frames."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n, *SHAPE)).astype(np.float32), rng.normal(0, 1, (n, HIDDEN)).astype(np.float32)
