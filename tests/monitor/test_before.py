"""Files of the first version, kept in tests/data/before, load and give the verdicts of then to the last bit.

The activations of then are kept too, so that another processor, whose convolutions differ in the last bit, changes
nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.networks import Network, Observation, OnnxNetwork

pytest.importorskip("onnxruntime")

BEFORE = Path(__file__).parents[1] / "data" / "before"
FRAMES = np.load(BEFORE / "frames.npy")


class Recorded(Network):
    """The network of then with the activations of then."""

    def __init__(self, name, taps):
        network = OnnxNetwork(BEFORE / "network.onnx", **taps)
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


TAPS = {
    "defaults": {},
    "ranges": {"taps": "auto", "neurons": "unit"},
    "channels": {"taps": "auto"},
    "places": {"taps": "s", "neurons": "pixel"},
    "votes": {"taps": "auto"},
}


@pytest.mark.parametrize("name", TAPS)
def test_a_profile_of_before_gives_the_verdicts_of_before(name):
    monitor = Monitor.load(BEFORE / f"{name}.outrider", Recorded(name, TAPS[name]))
    with np.load(BEFORE / f"{name}.npz") as expected:
        for size in (len(FRAMES), 7, 1):
            found = [monitor.check(FRAMES[i : i + size])[1] for i in range(0, len(FRAMES), size)]
            for fact in ("status", "score", "threshold", "confidence", "prediction", "deviation"):
                np.testing.assert_array_equal(np.concatenate([getattr(v, fact) for v in found]), expected[fact], fact)
            verdicts = [verdict for some in found for verdict in some]
            assert [";".join(verdict.layers) for verdict in verdicts] == expected["layers"].tolist()
            assert [verdict.reason for verdict in verdicts] == expected["reason"].tolist()
        judge = monitor.bind()
        frames = [judge(frame)[1] for frame in FRAMES]
        assert [(v.status, v.score, v.reason) for v in frames] == [(v.status, v.score, v.reason) for v in verdicts]


def test_a_profile_of_before_finds_its_network_by_path():
    monitor = Monitor.load(BEFORE / "defaults.outrider", BEFORE / "network.onnx")
    with np.load(BEFORE / "defaults.npz") as expected:
        np.testing.assert_array_equal(monitor.check(FRAMES)[1].status, expected["status"])
    assert monitor.learned.trusted.accepted == 600
