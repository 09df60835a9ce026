"""What both demos do: tell what begins, time in turn, export."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from outrider.runtime.demos import steps


def test_steps_are_told_with_their_seconds(monkeypatch):
    moments = iter([100.0, 100.0, 112.34])
    monkeypatch.setattr(steps.time, "perf_counter", lambda: next(moments))
    console = Console(file=io.StringIO(), highlight=False)
    with steps.told(console) as step:
        step("training")
        step("checking")
    assert console.file.getvalue() == "  0.0 s  training\n 12.3 s  checking\n"


def test_both_are_timed_on_the_same_frames_in_turn(monkeypatch):
    now, order = [0.0], []

    def takes(seconds, name):
        def run(frame):
            order.append((name, frame.shape, frame.flat[0]))
            now[0] += seconds

        return run

    monkeypatch.setattr(steps.time, "perf_counter", lambda: now[0])
    bare, monitored = steps.times_in_turn(takes(1, "bare"), takes(3, "monitored"), np.arange(6).reshape(3, 2), rounds=5)
    assert (bare.tolist(), monitored.tolist()) == ([1.0] * 5, [3.0] * 5)
    assert order[:4] == [("bare", (1, 2), 0), ("monitored", (2,), 0), ("bare", (1, 2), 2), ("monitored", (2,), 2)]
    assert len(order) == 2 * (5 + steps._WARM_UP)


def test_an_exported_network_is_the_same_and_names_no_file_of_this_machine(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, x):
            return self.layer(x)

    torch.manual_seed(0)
    module = Network().eval()
    steps.export(module, (4,), tmp_path / "n.onnx")
    assert b".py" not in (tmp_path / "n.onnx").read_bytes()
    frames = np.random.default_rng(0).random((5, 4), np.float32)
    (logits,) = onnxruntime.InferenceSession(tmp_path / "n.onnx").run(["logits"], {"frame": frames})
    np.testing.assert_allclose(logits, module(torch.from_numpy(frames)).detach().numpy(), atol=1e-6)
