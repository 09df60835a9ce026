"""Quantised models made by ONNX Runtime's own tool, against its sessions on models edited with the package onnx."""

from __future__ import annotations

import platform
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import NetworkWarning, OnnxNetwork  # noqa: E402

SHAPE = (3, 16, 16)
FORMS = [("QDQ", "QUInt8"), ("QDQ", "QInt8"), ("QOperator", "QUInt8"), ("QOperator", "QInt8")]


def images(n=3):
    return np.random.default_rng(0).normal(size=(n, *SHAPE)).astype(np.float32)


def floats():
    """Convolution and ReLU, a residual sum and ReLU, convolution and hard swish, a dense layer."""
    rng = np.random.default_rng(1)

    def weights(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    same = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "conv1", **same),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", **same),
        helper.make_node("Add", ["c2", "r1"], ["s2"], "sum2"),
        helper.make_node("Relu", ["s2"], ["r2"], "relu2"),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], "conv3", strides=[2, 2], **same),
        helper.make_node("HardSigmoid", ["c3"], ["g3"], "gate3", alpha=1 / 6),
        helper.make_node("Mul", ["c3", "g3"], ["h3"], "swish3"),
        helper.make_node("Conv", ["h3", "w4"], ["c4"], "conv4", **same),
        helper.make_node("GlobalAveragePool", ["c4"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w5", "b5"], ["logits"], "dense"),
    ]
    constants = {
        "w1": weights(16, 3, 3, 3), "w2": weights(16, 16, 3, 3), "w3": weights(24, 16, 3, 3),
        "w4": weights(24, 24, 3, 3), "w5": weights(10, 24).T.copy(), "b5": weights(10),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", *SHAPE))],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ("n", 10))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """The model in every form, as bytes."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    folder = tmp_path_factory.mktemp("quantised")
    onnx.save(floats(), folder / "floats.onnx")

    class Frames(quantization.CalibrationDataReader):
        def __init__(self):
            self.feeds = iter([{"x": frame[None]} for frame in images(8)])

        def get_next(self):
            return next(self.feeds, None)

    found = {}
    for form, activations in FORMS:
        path = folder / f"{form}-{activations}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantization.quantize_static(
                folder / "floats.onnx", path, Frames(), quant_format=quantization.QuantFormat[form], per_channel=True,
                activation_type=quantization.QuantType[activations], weight_type=quantization.QuantType.QInt8,
            )  # fmt: skip
        found[form, activations] = path.read_bytes()
    return found


def run_bare(data, batch, names=()):
    """The output, and other tensors, in a session of the test's own."""
    edited = onnx.load_from_string(data)
    for name in names:
        edited.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(edited.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["logits", *names], {"x": batch})


def codes(value):
    """uint8 codes in the order of the values."""
    return value if value.dtype == np.uint8 else (value.astype(np.int16) + 128).astype(np.uint8)


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_codes_behind_every_activation_are_tapped(quantised, form):
    """A ReLU that left no node, one behind a sum, and a hard swish in two nodes."""
    network = OnnxNetwork(quantised[form], taps="auto", neurons="unit")
    kind = "uint8" if form[1] == "QUInt8" else "int8"
    assert [(tap.kind, tap.shape, tap.layout, tap.dtype) for tap in network.taps] == [
        ("relu", (16, 16, 16), "NCHW", kind),
        ("relu", (16, 16, 16), "NCHW", kind),
        ("hardswish", (24, 8, 8), "NCHW", kind),
        ("output", (10,), "NC", "float32"),
    ]
    observation = network.observe(images())
    names = [tap.name for tap in network.taps[:-1]]
    logits, *expected = run_bare(quantised[form], images(), names)
    np.testing.assert_array_equal(observation.output, logits)
    for found, value in zip(observation.activations, expected, strict=False):
        assert found.dtype == np.uint8
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, codes(value).reshape(3, -1))


@pytest.mark.parametrize("neurons", ["channel", "channel-max", "grid2", "grid3"])
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_neurons_are_means_and_maxima_of_codes(quantised, form, neurons):
    network = OnnxNetwork(quantised[form], taps="auto", neurons=neurons)
    observation = network.observe(images())
    logits, *expected = run_bare(quantised[form], images(), [tap.name for tap in network.taps[:-1]])
    np.testing.assert_array_equal(observation.output, logits)
    np.testing.assert_array_equal(network.run(images()), logits)
    for found, value in zip(observation.activations, map(codes, expected), strict=False):
        assert found.dtype == np.float32
        if neurons == "channel-max":
            wanted = value.max((2, 3))
        elif neurons == "channel":
            wanted = value.mean((2, 3))
        else:
            k = int(neurons[4:])
            edges = [(i * value.shape[2] // k, -((-i - 1) * value.shape[2] // k)) for i in range(k)]
            cells = [[value[:, :, a:b, c:d].mean((2, 3)) for c, d in edges] for a, b in edges]
            wanted = np.moveaxis(np.array(cells), (0, 1), (2, 3)).reshape(3, -1)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_float_tensor_that_is_only_computed_as_codes_is_tapped_as_codes(quantised):
    data = quantised["QDQ", "QUInt8"]
    relu, floating = relu_in_codes_and_floats(data)
    for asked in (floating, f"{floating}_DequantizeLinear_Output"):
        with pytest.warns(NetworkWarning, match=f"tapped '{asked}' at '{relu}', as "):
            network = OnnxNetwork(data, taps=asked)
        assert [tap.name for tap in network.taps] == [relu, "logits"]
        np.testing.assert_array_equal(network.observe(images()).output, run_bare(data, images())[0])
    assert OnnxNetwork(data, taps=floating, exact=True).taps[0].dtype == "float32"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="others fuse convolutions of signed codes")
def test_a_float_tensor_that_is_computed_in_front_of_its_codes_is_tapped_itself(quantised):
    """On x86, ONNX Runtime computes this convolution of signed codes in float32."""
    data = quantised["QDQ", "QInt8"]
    relu, floating = relu_in_codes_and_floats(data)
    network = OnnxNetwork(data, taps=floating)
    assert [(tap.name, tap.dtype) for tap in network.taps] == [(floating, "float32"), ("logits", "float32")]
    np.testing.assert_array_equal(network.observe(images()).output, run_bare(data, images())[0])
    with pytest.warns(NetworkWarning, match="as it is made of codes, which are the same values"):
        assert OnnxNetwork(data, taps=f"{floating}_DequantizeLinear_Output").taps[0].name == relu


def relu_in_codes_and_floats(data):
    names = {name for node in onnx.load_from_string(data).graph.node for name in node.output}
    relu = next(tap.name for tap in OnnxNetwork(data, taps="auto").taps)
    floating = relu.removesuffix("_QuantizeLinear_Output")
    assert floating in names
    return relu, floating


def test_codes_whose_zero_is_not_the_lowest_are_no_relu(quantised):
    for form in FORMS:
        kinds = [tap.kind for tap in OnnxNetwork(quantised[form], taps="@conv").taps]
        assert "conv" in kinds
        assert "relu" not in kinds


def test_the_defaults_fit_quantised_models(quantised):
    network = OnnxNetwork(quantised["QDQ", "QUInt8"])
    assert [(tap.kind, tap.neurons) for tap in network.taps] == [
        ("relu", "channel"), ("relu", "unit"), ("relu", "channel"), ("hardswish", "channel"),
        ("hardswish", "channel-max"), ("output", "unit"),
    ]  # fmt: skip
    dtypes = [str(values.dtype) for values in network.observe(images()).activations]
    assert dtypes == ["float32", "uint8", "float32", "float32", "float32", "float32"]


def test_the_batch_may_have_any_size(quantised):
    for n in (1, 5):
        found = OnnxNetwork(quantised["QDQ", "QInt8"]).observe(images(n))
        np.testing.assert_array_equal(found.output, run_bare(quantised["QDQ", "QInt8"], images(n))[0])


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_a_relu6_that_only_gates_is_no_activation_when_it_is_quantised(form, tmp_path):
    """MobileNetV3 by hand, x * relu6(x + 3) / 6: the ReLU6 leaves no node behind, only codes that begin at zero."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    rng = np.random.default_rng(2)
    constants = {
        "w": rng.normal(size=(8, 3, 3, 3)) / 3, "three": np.array(3.0), "zero": np.array(0.0), "six": np.array(6.0),
        "v": rng.normal(size=(8, 10)) / 3,
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"), helper.make_node("Add", ["c", "three"], ["a"], "shift"),
        helper.make_node("Clip", ["a", "zero", "six"], ["g"], "relu6"),
        helper.make_node("Mul", ["c", "g"], ["m"], "gate"), helper.make_node("Div", ["m", "six"], ["h"], "sixth"),
        helper.make_node("GlobalAveragePool", ["h"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"), helper.make_node("MatMul", ["f", "v"], ["logits"], "dense"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "gates", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", *SHAPE))],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ("n", 10))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "f.onnx")
    assert [tap.name for tap in OnnxNetwork(tmp_path / "f.onnx", taps="auto").taps] == ["h", "logits"]

    class Frames(quantization.CalibrationDataReader):
        feeds = iter([{"x": frame[None]} for frame in images(8)])

        def get_next(self):
            return next(self.feeds, None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantization.quantize_static(
            tmp_path / "f.onnx", tmp_path / "q.onnx", Frames(), quant_format=quantization.QuantFormat[form[0]],
            activation_type=quantization.QuantType[form[1]], weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
    network = OnnxNetwork(tmp_path / "q.onnx", taps="auto")
    assert [(tap.kind, tap.shape) for tap in network.taps] == [("hardswish", (8, 14, 14)), ("output", (10,))]
