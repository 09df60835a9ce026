"""What is compared of a guarded model, with sessions made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from benchmarks.cost.places import compared


class Session:
    """Doubles its input, and says what a test wants beside it."""

    def __init__(self, factor, **beside):
        self.factor, self.beside = factor, beside

    def get_outputs(self):
        return [SimpleNamespace(name=name) for name in ("y", *self.beside)]

    def run(self, names, feeds):
        assert names is None
        return [feeds["x"] * self.factor, *self.beside.values()]


def test_outputs_maps_and_verdicts_are_held_together():
    frames = np.arange(6, dtype=np.float32).reshape(3, 2)
    guarded = Session(2, outrider_map=np.float32([[[4, 2]]]), outrider_alarm=np.array([True]))

    def monitor(frame):
        return None, SimpleNamespace(map=np.float32([[4, 2.5]]), alarm=frame[0] > 1)

    found = compared(Session(2), guarded, monitor, "x", frames)
    assert found == {"equal": True, "map off by": 0.5 / 4, "agreed": [2, 3]}
    assert not compared(Session(3), guarded, monitor, "x", frames)["equal"]
