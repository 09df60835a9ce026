"""Where the channels lie: read from the graph, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

RNG = np.random.default_rng(0)
CONSTANTS = {
    "w": RNG.normal(size=(8, 3, 3, 3)), "w8": RNG.normal(size=(8, 8, 3, 3)), "w1": RNG.normal(size=(8, 3, 3)),
    "dense": RNG.normal(size=(8, 8)), "from3": RNG.normal(size=(3, 8)), "gain": np.ones(8), "bias": np.zeros(8),
    "slope": np.full((8, 1, 1), 0.1),
}  # fmt: skip
NCHW, NHWC = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}
PADS = {"pads": [1, 1, 1, 1]}


def model(*nodes, shape=("n", 3, 6, 5), opset=17, outputs=("y",), integers=(), **options):
    """A model from x; nodes are (operator, inputs, output, attributes)."""
    graph = helper.make_graph(
        [
            helper.make_node(op, inputs.split(), output.split(), **attributes)
            for op, inputs, output, attributes in nodes
        ],
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [
            *(numpy_helper.from_array(value.astype(np.float32), name) for name, value in CONSTANTS.items()),
            *(numpy_helper.from_array(np.array(value, np.int64), name) for name, value in integers),
        ],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **options).SerializeToString()


def value_of(data, name, batch):
    edited = onnx.load_from_string(data)
    edited.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = ort.InferenceSession(edited.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([name], {session.get_inputs()[0].name: batch})[0]


def check(data, name, layout, axis, shape=(3, 6, 5)):
    """The layout of a tap and its channel means."""
    network = OnnxNetwork(data, taps=name, classes=None, exact=True)
    assert network.taps[0].layout == layout
    batch = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    value = value_of(data, name, batch)
    expected = value.mean(tuple(i for i in range(1, value.ndim) if i != axis % value.ndim))
    np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-4, atol=1e-5)


def test_a_model_from_channels_last_pictures():
    """As tf2onnx writes it: a transpose, maps with channels first, a transpose."""
    data = model(
        ("Transpose", "x", "model/t:0", NCHW),
        ("Conv", "model/t:0 w", "model/conv2d/BiasAdd:0", PADS),
        ("Relu", "model/conv2d/BiasAdd:0", "model/conv2d/Relu:0", {}),
        ("Transpose", "model/conv2d/Relu:0", "model/back:0", NHWC),
        ("Sigmoid", "model/back:0", "y", {}),
        shape=("n", 6, 5, 3),
        opset=9,
    )
    network = OnnxNetwork(data, taps=("model/conv2d/Relu:0:channel", "model/*Relu:0"), classes=None)
    assert [(tap.name, tap.layout) for tap in network.taps] == [("model/conv2d/Relu:0", "NCHW")]
    check(data, "model/conv2d/Relu:0", "NCHW", 1, (6, 5, 3))
    check(data, "model/back:0", "NHWC", -1, (6, 5, 3))
    check(data, "model/t:0", "NCHW", 1, (6, 5, 3))


def test_pointwise_work_between_transposes_keeps_the_channels_where_they_are():
    data = model(
        ("Conv", "x w", "c", PADS), ("Transpose", "c", "t", NHWC), ("Relu", "t", "r", {}), ("Mul", "r gain", "m", {}),
        ("Transpose", "m", "b", NCHW), ("Conv", "b w8", "y", PADS),
    )  # fmt: skip
    for name, layout, axis in (("c", "NCHW", 1), ("r", "NHWC", -1), ("m", "NHWC", -1), ("b", "NCHW", 1)):
        check(data, name, layout, axis)


def test_what_reads_a_tensor_tells_where_nothing_before_it_does():
    data = model(("Relu", "x", "r", {}), ("Transpose", "r", "t", NCHW), ("Conv", "t w", "y", {}), shape=("n", 6, 5, 3))
    check(data, "r", "NHWC", -1, (6, 5, 3))
    shuffled = model(
        ("Conv", "x w", "c", PADS), ("Reshape", "c apart", "a", {}), ("Transpose", "a", "t", {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", "t together", "s", {}), ("Relu", "s", "r", {}), ("Conv", "r w8", "y", {}),
        integers=[("apart", [0, 2, 4, 6, 5]), ("together", [0, 8, 6, 5])],
    )  # fmt: skip
    check(shuffled, "r", "NCHW", 1)


def test_dense_layers_and_layer_norms_work_on_the_last_axis():
    data = model(
        ("Conv", "x w", "c", PADS), ("Transpose", "c", "t", NHWC), ("LayerNormalization", "t gain bias", "l", {}),
        ("MatMul", "l dense", "m", {}), ("Relu", "m", "r", {}), ("Transpose", "r", "b", NCHW), ("Add", "b c", "s", {}),
        ("Relu", "s", "y", {}),
    )  # fmt: skip
    for name, layout, axis in (("l", "NHWC", -1), ("r", "NHWC", -1), ("b", "NCHW", 1), ("s", "NCHW", 1)):
        check(data, name, layout, axis)


def test_a_layer_behind_a_sum_knows_better_than_one_of_its_terms():
    """A mixer: a layer over the tokens, turned back, is added to tokens of which nothing is known yet."""
    turned = {"perm": [0, 2, 1]}
    data = model(
        ("Transpose", "x", "t", turned), ("MatMul", "t dense", "m", {}), ("Transpose", "m", "b", turned),
        ("Add", "x b", "s", {}), ("Relu", "s", "r", {}), ("MatMul", "r from3", "y", {}), shape=("n", 8, 3),
    )  # fmt: skip
    check(data, "r", "NLC", -1, (8, 3))
    check(data, "b", "NCL", 1, (8, 3))


def test_signals_have_their_channels_first_and_tokens_last():
    data = model(("Conv", "x w1", "c", {}), ("Relu", "c", "r", {}), ("Neg", "r", "y", {}), shape=("n", 3, 9))
    check(data, "r", "NCL", 1, (3, 9))
    data = model(("MatMul", "x from3", "m", {}), ("Relu", "m", "r", {}), ("Neg", "r", "y", {}), shape=("n", 9, 3))
    check(data, "r", "NLC", -1, (9, 3))
    network = OnnxNetwork(data, taps="r", neurons=("grid2", "channel-max", "unit"), classes=None)
    assert [tap.size for tap in network.taps] == [16, 8, 72]


def test_a_prelu_has_its_channels_where_its_layer_has():
    data = model(("Conv", "x w", "c", PADS), ("PRelu", "c slope", "r", {}), ("Neg", "r", "y", {}))
    check(data, "r", "NCHW", 1)


def test_operators_that_say_so_have_channels_last():
    scales = [("s", np.float32(0.1)), ("z", np.uint8(0)), ("wz", np.int8(0))]
    made = onnx.load_from_string(
        model(
            ("QuantizeLinear", "x s z", "q", {}),
            ("QLinearConv", "q s z k s wz s z", "c", {"channels_last": 1, "domain": "com.microsoft"}),
            ("DequantizeLinear", "c s z", "y", {}),
            shape=("n", 6, 5, 3),
        )
    )
    made.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in scales)
    made.graph.initializer.append(numpy_helper.from_array(RNG.integers(-9, 9, (8, 3, 3, 3), np.int8), "k"))
    data = made.SerializeToString()
    network = OnnxNetwork(data, taps="auto", classes=None)
    assert [(tap.kind, tap.shape, tap.layout, tap.dtype) for tap in network.taps] == [
        ("relu", (4, 3, 8), "NHWC", "uint8")
    ]
    batch = np.random.default_rng(1).normal(size=(2, 6, 5, 3)).astype(np.float32)
    expected = value_of(data, "c", batch).mean((1, 2))
    np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-6)


@pytest.mark.parametrize("level", ["ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
def test_models_that_onnx_runtime_has_optimised(level, tmp_path):
    """Fused convolutions are read; tensors in the blocked layout of one kind of processor are refused."""
    data = model(("Conv", "x w", "c", PADS), ("Relu", "c", "r", {}), ("Conv", "r w8", "y", PADS))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    optimised = (tmp_path / "optimised.onnx").read_bytes()
    domains = {node.domain for node in onnx.load_from_string(optimised).graph.node}
    if "com.microsoft.nchwc" in domains:
        with pytest.raises(ValueError, match=r"'.*' cannot be tapped: it is in the blocked layout of ONNX Runtime"):
            OnnxNetwork(optimised)
        return
    network = OnnxNetwork(optimised, taps="auto")
    assert [(tap.name, tap.kind) for tap in network.taps] == [("r", "relu")]
    check(optimised, "r", "NCHW", 1)


def test_where_the_graph_does_not_tell_a_map_has_its_channels_first():
    graph = OnnxGraph(model(("Relu", "x", "r", {}), ("Neg", "r", "y", {})))
    assert graph.channel_axis("r") is None
    check(model(("Relu", "x", "r", {}), ("Neg", "r", "y", {})), "r", "NCHW", 1)


@pytest.mark.parametrize("opset", [9, 11, 12, 13, 15, 17, 18, 20, 21, 22, 23, 24])
def test_every_opset(opset):
    """Outputs bit for bit and every kind of neuron, in a network with a grid of uneven windows."""
    nodes = [
        ("Conv", "x w", "c", PADS), ("Relu", "c", "r", {}), ("Conv", "r w8", "d", PADS), ("LeakyRelu", "d", "e", {}),
        ("GlobalAveragePool", "e", "p", {}), ("Flatten", "p", "f", {}), ("MatMul", "f dense", "y", {}),
    ]  # fmt: skip
    data = model(*nodes, opset=opset)
    batch = np.random.default_rng(1).normal(size=(2, 3, 6, 5)).astype(np.float32)
    ways = ("unit", "channel", "channel-max", "grid2", "grid3", "grid5")
    network = OnnxNetwork(data, taps="auto", neurons=ways)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    bare = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, bare.run(None, {"x": batch})[0])
    r = value_of(data, "r", batch)
    np.testing.assert_allclose(observation.activations[0], r.reshape(2, -1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(observation.activations[1], r.mean((2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(observation.activations[2], r.max((2, 3)), rtol=1e-4, atol=1e-5)


def test_swish_of_the_newest_opset():
    data = model(("Conv", "x w", "c", PADS), ("Swish", "c", "r", {}), ("Neg", "r", "y", {}), opset=24)
    assert OnnxGraph(data).kinds["r"] == "swish"
    try:
        ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - an older ONNX Runtime
        return
    check(data, "r", "NCHW", 1)


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([("Conv", "x w", "c", PADS), ("Relu", "c", "r", {}), ("Conv", "r w8", "y", PADS)], ["y"]),
        (
            [("Conv", "x w", "c", PADS), ("Relu", "c", "r", {}), ("GlobalAveragePool", "r", "p", {}),
             ("Flatten", "p", "scores", {}), ("Reshape", "r boxes", "y", {})],
            ["scores", "y"],
        ),
        (
            [("Conv", "x w", "c", PADS), ("Relu", "c", "r", {}), ("Reshape", "r boxes", "a", {}),
             ("NonZero", "a", "y", {})],
            ["a", "y"],
        ),
    ],
)  # fmt: skip
def test_detectors_and_segmenters_have_no_classes(nodes, outputs):
    """Maps, several outputs, outputs without a batch axis."""
    data = model(*nodes, outputs=outputs, integers=[("boxes", [0, -1, 4])])
    network = OnnxNetwork(data)
    assert network.classes is None
    assert [tap.id for tap in network.taps] == ["r:channel", "r:unit", "r:channel-max"]
    batch = np.random.default_rng(1).normal(size=(2, 3, 6, 5)).astype(np.float32)
    observation = network.observe(batch)
    assert observation.logits is None
    found = observation.output if isinstance(observation.output, tuple) else (observation.output,)
    for value, name in zip(found, outputs, strict=True):
        np.testing.assert_array_equal(value, value_of(data, name, batch))
    if outputs[0] == "scores":
        assert OnnxNetwork(data, scores_output="scores").classes == 8
        assert OnnxNetwork(data, classes=8).observe(batch).logits.shape == (2, 8)


def test_shapes_that_the_file_says_wrong_or_not_at_all_do_no_harm():
    made = onnx.load_from_string(model(("Conv", "x w", "c", PADS), ("Relu", "c", "r", {}), ("Neg", "r", "y", {})))
    assert not made.graph.value_info
    check(made.SerializeToString(), "r", "NCHW", 1)
    made.graph.value_info.append(helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, ("a", "b", "c", "d")))
    check(made.SerializeToString(), "r", "NCHW", 1)
