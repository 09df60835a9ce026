"""A small model, its monitor, and what its guarded form says."""

from __future__ import annotations

import warnings

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from outrider.coverage import (
    Box,
    CoverageBitmap,
    Energy,
    Gaussian,
    Mahalanobis,
    Margin,
    MultiRange,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)
from outrider.monitor import HarmonicP, MaxZ, Monitor, OutriderWarning, SmallestP, Sum, Votes, ZScore
from outrider.networks import OnnxNetwork

SHAPE = 3, 8, 8
LEAK = "the profile tells its own data"
LOUD = r"\d of \d classes alarm far more often than the"
OURS = ["outrider_score", "outrider_confidence", "outrider_alarm", "outrider_deviation"]


def model(opset=17, ir=8, dtype=TensorProto.FLOAT, batch="n", classes=4, shape=SHAPE, names=("r1", "r2")):
    """Two convolutions of 16 and 8 channels with ReLU, and class scores that follow the colour of a frame."""
    rng = np.random.default_rng(1)
    float_type = TensorProto.FLOAT16 if dtype == TensorProto.FLOAT16 else TensorProto.FLOAT
    weights = {
        "w1": rng.normal(size=(16, 3, 3, 3)) / 5,
        "w2": rng.normal(size=(8, 16, 3, 3)) / 12,
        "w3": rng.normal(size=(8, classes)) / 99,
        "w4": np.array([[3, 0, -3, 0], [0, 3, 0, -3], [1, -1, 1, -1]])[:, :classes],
        "b4": np.zeros(classes)
        if np.dtype(helper.tensor_dtype_to_np_dtype(dtype)).kind == "f"
        else [-512, -256, 256, 512],
    }
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=float_type),
        helper.make_node("Conv", ["f", "w1"], ["c1"], pads=[1] * 4),
        helper.make_node("Relu", ["c1"], [names[0]]),
        helper.make_node("Conv", [names[0], "w2"], ["c2"], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["c2"], [names[1]]),
        helper.make_node("GlobalAveragePool", [names[1]], ["p"]),
        helper.make_node("Flatten", ["p"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["small"]),
        helper.make_node("GlobalAveragePool", ["f"], ["means"]),
        helper.make_node("Flatten", ["means"], ["colours"]),
        helper.make_node("Gemm", ["colours", "w4", "b4"], ["large"]),
        helper.make_node("Add", ["small", "large"], ["logits"]),
    ]
    tensors = [
        numpy_helper.from_array(np.asarray(value).astype(helper.tensor_dtype_to_np_dtype(float_type)), name)
        for name, value in weights.items()
    ]
    inputs = [helper.make_tensor_value_info("x", dtype, [batch, *shape])]
    if ir < 4:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    outputs = [helper.make_tensor_value_info("logits", float_type, [batch, classes])]
    graph = helper.make_graph(nodes, "test", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def frames(n, seed=0, dtype=np.float32, shape=SHAPE):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, *shape)) + rng.normal(size=(n, shape[0], 1, 1))
    return (values * 30 + 128).clip(0, 255).astype(dtype) if np.dtype(dtype).kind == "u" else values.astype(dtype)


def taught(path, criteria=None, logic=None, dtype=np.float32, n=300, per_class=False, rate=0.05, **options):
    """A calibrated monitor on a model, and the profile beside it."""
    network = OnnxNetwork(path, **options)
    monitor = Monitor(network, criteria, logic=logic)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", LEAK, OutriderWarning)
        warnings.filterwarnings("ignore", LOUD, OutriderWarning)
        monitor.profile([frames(n, 1, dtype)])
        monitor.calibrate([frames(n, 2, dtype)], rate, per_class=per_class)
    profile = path.with_suffix(".outrider")
    monitor.save(profile)
    return monitor, profile


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path, batch, **feeds):
    """What a model says of a batch, by name."""
    runs = session(path)
    names = [output.name for output in runs.get_outputs()]
    return dict(zip(names, runs.run(None, {"x": batch, **feeds}), strict=True))


def mixed(dtype=np.float32):
    """Frames like the trusted ones, and strange ones."""
    strange = frames(20, 4, dtype) * (3 if np.dtype(dtype).kind == "f" else 1)
    return np.concatenate([frames(40, 3, dtype), strange.astype(dtype)])


def assert_agree(got, monitor, batch, rtol=2e-5):
    """The guarded model's outputs are those of the bare one and of the monitor."""
    output, verdicts = monitor.check(batch)
    np.testing.assert_array_equal(got["logits"], output)
    np.testing.assert_allclose(got["outrider_deviation"], verdicts.deviation, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(got["outrider_score"], verdicts.score, rtol=rtol, atol=1e-5)
    np.testing.assert_allclose(got["outrider_confidence"], verdicts.confidence, rtol=1e-4, atol=1e-5)
    off = np.abs(verdicts.score - verdicts.threshold) > rtol * np.maximum(verdicts.threshold, 1)
    np.testing.assert_array_equal(got["outrider_alarm"][off], verdicts.alarm[off])
    assert [got[name].dtype for name in OURS] == [np.float32, np.float32, np.bool_, np.float32]
    assert got["outrider_deviation"].shape == verdicts.deviation.shape
    return verdicts


CASES = {
    "published": (SingleRange(), Sum(), {"taps": ["r1:unit", "r2:unit"]}),
    "sections": (MultiRange(sections=8), Sum(), {}),
    "sections, log": (MultiRange(sections=8, cost="log"), ZScore(), {"neurons": "grid2"}),
    "bitmap": (CoverageBitmap(), Sum(), {"taps": ["r1:channel", "r1:unit", "r2:channel-max"]}),
    "magnitude": (SingleRange(quantile=0.02, magnitude=True), MaxZ(), {}),
    "votes": ({"r1:channel": SingleRange(), "*": [Gaussian(), CoverageBitmap()]}, Votes(k=2), {}),
    "default": (None, None, {}),
    "unsorted": ({"r2:channel": Mahalanobis(), "@relu": CoverageBitmap(), "r1:channel": Mahalanobis()}, None, {}),
    "scores": ({"@output": [Softmax(), Energy(), Mahalanobis()]}, SmallestP(), {}),
    "relative": (
        {"@relu:channel": [RelativeMahalanobis(), Box(capacity=32)], "@output": [Margin(), RelativeMahalanobis()]},
        None,
        {},
    ),
    "patterns": (Pattern(capacity=40), Sum(), {"taps": ["r1:unit", "r2:unit"]}),
    "harmonic": ({"r1:channel": SingleRange(), "*": [Gaussian(), Mahalanobis()]}, HarmonicP(), {}),
    "no classes": (SingleRange(), ZScore(), {"classes": None}),
}
