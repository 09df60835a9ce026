"""Files of the first version in tests/data/before, and a network that shows again what it showed then."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from outrider.networks import Network, Observation, OnnxNetwork

BEFORE = Path(__file__).parent / "data" / "before"
FRAMES = np.load(BEFORE / "frames.npy")
TAPS = {
    "defaults": {"taps": ("auto", "first:unit")},
    "ranges": {"taps": "auto", "neurons": "unit"},
    "channels": {"taps": "auto"},
    "places": {"taps": "s", "neurons": "pixel"},
    "votes": {"taps": "auto"},
}
"""How the network was tapped for each profile."""


class Recorded(Network):
    """The network of then with the activations of then.

    They are kept so that another processor, whose convolutions differ in the last bit, changes nothing.
    next: the row of `FRAMES` that the next frame is taken for.
    """

    def __init__(self, name):
        network = OnnxNetwork(BEFORE / "network.onnx", **TAPS[name])
        for fact in ("taps", "classes", "input_shape", "engine", "fingerprint", "preprocessing"):
            setattr(self, fact, getattr(network, fact))
        network.close()
        with np.load(BEFORE / f"{name}-activations.npz") as kept:
            self.output = kept["output"]
            self.activations = [kept[f"arr_{i}"] for i in range(len(self.taps))]
        self.next = 0

    def observe(self, batch):
        places = len(self.activations[0]) // len(FRAMES) if "pixel" in self.taps[0].neurons else 1
        rows, self.next = slice(self.next, self.next + len(batch)), (self.next + len(batch)) % len(FRAMES)
        pixels = slice(rows.start * places, rows.stop * places)
        activations = [
            values[pixels if tap.neurons == "pixel" else rows]
            for tap, values in zip(self.taps, self.activations, strict=True)
        ]
        return Observation(self.output[rows], activations[-1], tuple(activations))
