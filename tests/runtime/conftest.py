"""A tiny network for the digits as an ONNX file, and the command line in this process."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork, Preprocessing, load_dataset
from outrider.runtime.cli.main import main


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A convolution with fixed kernels, a ReLU, and a layer that scikit-learn fitted to the first 1,000 digits."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    linear_model = pytest.importorskip("sklearn.linear_model")
    from onnx import TensorProto, helper, numpy_helper

    digits = load_dataset("digits", "train")[:1000]
    kernels = np.random.default_rng(0).normal(size=(6, 1, 3, 3)).astype(np.float32)
    padded = np.pad(digits.floats()[:, 0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    features = np.maximum(np.einsum("nhwij,cij->nchw", windows, kernels[:, 0]), 0).reshape(len(digits), -1)
    fitted = linear_model.LogisticRegression(C=10, max_iter=1000).fit(features, digits.labels)

    weights = {"kernels": kernels, "weight": fitted.coef_, "bias": fitted.intercept_}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernels"], ["conv"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["conv"], ["relu"]),
            helper.make_node("Flatten", ["relu"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"], transB=1),
        ],
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    path = tmp_path_factory.mktemp("model") / "digits.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def outrider(capsys, monkeypatch, tmp_path):
    """Runs a command in a folder of its own: an object with code, out, err."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return run


@pytest.fixture(scope="session")
def profiled(model, tmp_path_factory):
    """A profile of the first 1,000 digits, without a threshold."""
    path = tmp_path_factory.mktemp("profiled") / "digits.outrider"
    assert main(["profile", str(model), "digits:train", "-o", str(path), "--rows", ":1000", "--quiet"]) == 0
    return path


@pytest.fixture(scope="session")
def calibrated(model, profiled, tmp_path_factory):
    """The same with a threshold, its network beside it."""
    path = tmp_path_factory.mktemp("calibrated") / "digits.outrider"
    command = ["calibrate", profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", path]
    assert main([str(word) for word in command] + ["--false-alarm-rate", "0.05"]) == 0
    path.with_name("digits.onnx").write_bytes(model.read_bytes())
    return path


@pytest.fixture(scope="session")
def clean(calibrated):
    """Digits, (n, 8, 8) uint8, all of them well below the threshold."""
    digits = load_dataset("digits", "test")[:200]
    network = OnnxNetwork(calibrated.with_name("digits.onnx"), preprocessing=Preprocessing(size=(8, 8), order="L"))
    _, verdicts = Monitor.load(calibrated, network).check(digits.floats())
    network.close()
    return digits.images[verdicts.score < 0.9 * verdicts.threshold][:, 0][:40]
