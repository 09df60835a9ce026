"""A frame judge on real networks gives the verdicts of `Monitor.check`."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.coverage import (
    SingleRange,
)
from outrider.monitor import Monitor, Status, Verdict

SHAPE = (2, 4, 4)


def frames(n, seed):
    return np.random.default_rng(seed).normal(0, 1, (n, *SHAPE)).astype(np.float32)


ENGINES = {
    "ONNX, channels": lambda: onnx_network(taps="auto", neurons="channel"),
    "ONNX, units and channels": lambda: onnx_network(taps="auto", neurons=("unit", "channel")),
    "ONNX, pixels": lambda: onnx_network(taps="auto", neurons=("pixel", "unit")),
    "ONNX, buffers of its own": lambda: onnx_network(taps="auto", neurons="channel", buffers=1),
    "ONNX, a batch of 4": lambda: onnx_network(batch=4, taps="auto", neurons="channel"),
    "PyTorch, units and channels": lambda: torch_network(taps="auto", neurons=("unit", "channel")),
}


def onnx_network(batch="n", **options):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, rng = onnx.helper, np.random.default_rng(4)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["d"], ["s"]),
        helper.make_node("GlobalAveragePool", ["s"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    weights = {"w": rng.normal(size=(5, 2, 3, 3)), "v": rng.normal(size=(4, 5, 3, 3))}
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, (batch, *SHAPE))],
        [helper.make_tensor_value_info("y", 1, (batch, 4))],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    from outrider.networks import OnnxNetwork

    return OnnxNetwork(file, **options)


def torch_network(**options):
    torch = pytest.importorskip("torch")
    from outrider.networks import TorchNetwork

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(80, 4)
    )
    return TorchNetwork(module.eval(), SHAPE, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("criteria", [SingleRange(), None], ids=["ranges", "defaults"])
def test_the_judge_gives_the_verdict_of_check_on_real_networks(engine, criteria):
    network = ENGINES[engine]()
    monitor = Monitor(network, criteria)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([frames(400, 1)], minimum_per_class=3)
        monitor.calibrate([frames(400, 2)], 0.1, warning_rate=0.3)
    judge = monitor.bind()
    seen = set()
    for seed in range(40):
        frame = frames(1, seed)[0] * np.float32([0.5, 1, 4][seed % 3])
        output, verdict = judge(frame)
        output = output.numpy() if hasattr(output, "numpy") else output
        expected_output, verdicts = monitor.check(frame[None])
        np.testing.assert_array_equal(output, np.asarray(expected_output[0]))
        for name in Verdict.__slots__:
            np.testing.assert_array_equal(getattr(verdict, name), getattr(verdicts[0], name))
        seen.add(verdict.status)
    assert {Status.OK, Status.ALARM} <= seen
