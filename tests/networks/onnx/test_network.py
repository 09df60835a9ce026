"""OnnxNetwork against ONNX Runtime on models edited with the package onnx, and against torch."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import LeNet, OnnxNetwork, TorchNetwork  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402

SHAPE = (3, 16, 16)


def images(n=3, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def weights(rng, *shape):
    return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def model(batch="n", size=16, dtype=np.float32, tail=(), outputs=("logits",), prefix=""):
    """Two convolutions of 16 and 24 channels with ReLU, a residual one, a dense layer; then the nodes of `tail`."""
    rng = np.random.default_rng(1)
    constants = {
        "w1": weights(rng, 16, 3, 3, 3),
        "w2": weights(rng, 16, 16, 3, 3),
        "w3": weights(rng, 24, 16, 3, 3),
        "w4": weights(rng, 10, 24).T.copy(),
        "b4": weights(rng, 10),
    }
    same = {"pads": [1, 1, 1, 1]}
    first = "x" if dtype == np.float32 else "floats"
    nodes = [
        *([] if first == "x" else [helper.make_node("Cast", ["x"], ["floats"], to=onnx.TensorProto.FLOAT)]),
        helper.make_node("Conv", [first, "w1"], ["c1"], **same),
        helper.make_node("Relu", ["c1"], [f"{prefix}r1"]),
        helper.make_node("Conv", [f"{prefix}r1", "w2"], ["c2"], **same),
        helper.make_node("Add", ["c2", f"{prefix}r1"], ["s2"]),
        helper.make_node("Relu", ["s2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], strides=[2, 2], **same),
        helper.make_node("Relu", ["c3"], ["r3"]),
        helper.make_node("GlobalAveragePool", ["r3"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["logits"]),
        *tail,
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), (batch, 3, size, size))],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made).SerializeToString()


def chain(*nodes, shape=("n", 4), constants=(), dtype=np.float32):
    """A model from x to y; nodes are (operator, inputs, output, attributes)."""
    graph = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output], **attributes) for op, inputs, output, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(value, name) for name, value in constants],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made).SerializeToString()


def run_bare(data, batch, names=None):
    """The model's outputs, or those of other tensors, with the package onnx and an ONNX Runtime session of its own."""
    edited = onnx.load_from_string(data)
    for name in names or []:
        edited.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(edited.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(names, {session.get_inputs()[0].name: batch})


def test_activations_are_those_of_an_edited_model():
    data, batch = model(), images()
    network = OnnxNetwork(data, neurons="unit")
    assert [(tap.name, tap.kind, tap.shape, tap.layout) for tap in network.taps] == [
        ("r1", "relu", (16, 16, 16), "NCHW"),
        ("r2", "relu", (16, 16, 16), "NCHW"),
        ("r3", "relu", (24, 8, 8), "NCHW"),
        ("logits", "output", (10,), "NC"),
    ]
    observation = network.observe(batch)
    for found, expected in zip(
        observation.activations, run_bare(data, batch, ["r1", "r2", "r3", "logits"]), strict=True
    ):
        np.testing.assert_array_equal(found, expected.reshape(3, -1))
        assert found.flags.c_contiguous


@pytest.mark.parametrize(
    "neurons", ["unit", "channel", "channel-max", "grid1", "grid2", "grid3", ("unit", "channel", "grid4")]
)
@pytest.mark.parametrize("n", [1, 3])
def test_the_outputs_stay_the_same_bit_for_bit(neurons, n):
    data, batch = model(), images(n)
    network = OnnxNetwork(data, neurons=neurons)
    (expected,) = run_bare(data, batch)
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, expected)
    np.testing.assert_array_equal(observation.logits, expected)
    np.testing.assert_array_equal(network.run(batch), expected)
    assert observation.activations[-1] is observation.logits


@pytest.mark.parametrize("neurons", ["unit", "channel", "channel-max", "grid1", "grid2", "grid3", "grid5", "grid8"])
def test_neurons_equal_those_of_torch(neurons):
    torch = pytest.importorskip("torch")
    data, batch = model(), images()
    network = OnnxNetwork(data, taps="auto", neurons=neurons)
    observation = network.observe(batch)
    for index, value in enumerate(map(torch.from_numpy, run_bare(data, batch, ["r1", "r2", "r3"]))):
        expected = {
            "unit": lambda x: x,
            "channel": lambda x: x.mean((2, 3)),
            "channel-max": lambda x: x.amax((2, 3)),
        }.get(neurons, lambda x: torch.nn.functional.adaptive_avg_pool2d(x, int(neurons[4:])))(value)
        found = observation.activations[index]
        assert found.shape == (3, network.taps[index].size)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.flatten(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dynamo", [False, True])
def test_exports_of_a_torch_module_give_the_same_activations(tmp_path, dynamo):
    torch = pytest.importorskip("torch")
    if dynamo:
        pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    module = LeNet().eval()
    path = tmp_path / "lenet.onnx"
    options = {"dynamic_shapes": {"x": {0: "n"}}} if dynamo else {"dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(2, 1, 28, 28),), str(path), input_names=["x"], dynamo=dynamo, verbose=False, **options
        )
    batch = images(5, (1, 28, 28))
    ours, theirs = OnnxNetwork(path).observe(batch), TorchNetwork(module, (1, 28, 28)).observe(batch)
    assert len(ours.activations) == len(theirs.activations) == 6
    for found, expected in zip(ours.activations, theirs.activations, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_any_tensor_can_be_tapped_by_name_glob_or_kind():
    data, batch = model(), images()
    network = OnnxNetwork(data, taps=("@conv:channel", "r1:unit", "f"), exact=True)
    assert [tap.id for tap in network.taps] == [
        "c1:channel",
        "r1:unit",
        "c2:channel",
        "c3:channel",
        "f:unit",
        "logits:unit",
    ]
    c1, f = run_bare(data, batch, ["c1", "f"])
    observation = network.observe(batch)
    np.testing.assert_allclose(observation.activations[0], c1.mean((2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(observation.activations[4], f, rtol=1e-4, atol=1e-5)


def test_by_default_every_activation_is_pooled_and_the_first_is_seen_unit_by_unit():
    network = OnnxNetwork(model())
    assert [tap.id for tap in network.taps] == ["r1:channel", "r1:unit", "r2:channel", "r3:channel", "logits:unit"]


def test_the_class_scores_alone():
    network = OnnxNetwork(model(), taps="@output")
    assert [tap.id for tap in network.taps] == ["logits:unit"]
    assert network.observe(images()).activations[0].shape == (3, 10)


def test_a_tapped_output_is_fetched_once():
    data = model(outputs=("logits", "r3"))
    observation = OnnxNetwork(data, taps="auto", neurons="unit").observe(images())
    logits, r3 = run_bare(data, images())
    assert isinstance(observation.output, tuple)
    np.testing.assert_array_equal(observation.output[0], logits)
    np.testing.assert_array_equal(observation.output[1], r3)
    np.testing.assert_array_equal(observation.activations[2], r3.reshape(3, -1))


def test_names_like_ours_do_no_harm():
    data = model(prefix="outrider0")
    network = OnnxNetwork(data, taps="auto")
    assert network.taps[0].name == "outrider0r1"
    np.testing.assert_allclose(
        network.observe(images()).activations[0],
        run_bare(data, images(), ["outrider0r1"])[0].mean((2, 3)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("logits", ["logits", 1])
def test_logits_among_several_outputs(logits):
    data = model(outputs=("r3", "logits"))
    network = OnnxNetwork(data, scores_output=logits)
    observation = network.observe(images())
    assert network.classes == 10
    np.testing.assert_array_equal(observation.logits, observation.output[1])
    assert len(network.run(images())) == 2


@pytest.mark.parametrize("logits", [2, -1, "scores"])
def test_outputs_that_are_not_there_are_refused(logits):
    with pytest.raises(ValueError, match="expected scores_output to be an index or one of the outputs r3, logits, got"):
        OnnxNetwork(model(outputs=("r3", "logits")), scores_output=logits)


def test_a_network_without_classes():
    tail = [helper.make_node("ReduceSum", ["logits"], ["steer"], keepdims=1)]
    for options in ({"scores_output": "r3"}, {"classes": None}):
        network = OnnxNetwork(model(outputs=("r3", "logits"), tail=tail), taps="auto", **options)
        observation = network.observe(images())
        assert network.classes is None
        assert observation.logits is None
        assert [tap.name for tap in network.taps] == ["r1", "r2", "r3"]
        assert len(observation.activations) == 3


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (4, r"expected class scores of shape \(2, 4\) for a batch of 2, got \(2, 10\)"),
        (1, "expected classes 'auto', 'pixel', None or a number from 2, got 1"),
        ("ten", "got 'ten'"),
    ],
)
def test_classes_that_do_not_fit_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(), classes=classes)


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
def test_a_fixed_batch_is_run_in_pieces(n):
    fixed = OnnxNetwork(model(batch=4), neurons=("channel", "unit"))
    free = OnnxNetwork(model(), neurons=("channel", "unit"))
    first, second = fixed.observe(images(n)), free.observe(images(n))
    np.testing.assert_allclose(first.output, second.output, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fixed.run(images(n)), second.output, rtol=1e-4, atol=1e-5)
    for found, expected in zip(first.activations, second.activations, strict=True):
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pieces_need_outputs_with_a_batch_axis():
    total = [helper.make_node("ReduceSum", ["logits"], ["total"], keepdims=0)]
    network = OnnxNetwork(model(batch=2, outputs=("logits", "total"), tail=total))
    assert len(network.observe(images(2)).output) == 2
    with pytest.raises(ValueError, match="expected a batch of 2, which the model fixes, got 3"):
        network.observe(images(3))


@pytest.mark.parametrize("neurons", ["channel", "channel-max", "grid2", "grid3"])
def test_an_image_size_may_stay_open(neurons):
    data = model(size="h")
    network = OnnxNetwork(data, taps="auto", neurons=neurons)
    assert network.input_shape == (3, None, None)
    assert [tap.shape for tap in network.taps] == [(16, None, None), (16, None, None), (24, None, None), (10,)]
    for n, size in ((1, (16, 16)), (3, (24, 20)), (2, (33, 9))):
        batch = images(n, (3, *size))
        observation = network.observe(batch)
        np.testing.assert_array_equal(observation.output, run_bare(data, batch)[0])
        np.testing.assert_array_equal(network.run(batch), run_bare(data, batch)[0])
        for tap, found in zip(network.taps[:-1], observation.activations, strict=False):
            (value,) = run_bare(data, batch, [tap.name])
            assert found.shape == (n, tap.size)
            whole = dataclasses.replace(tap, shape=value.shape[1:])
            np.testing.assert_allclose(found, reduce_to_neurons(whole, value), rtol=1e-4, atol=1e-5)
    for shape in ((3, 16), (1, 16, 16), (3, 0, 16)):
        with pytest.raises(ValueError, match=r"expected a batch of shape \(n, 3, \?, \?\), got"):
            network.observe(images(2, shape))


def test_units_need_an_image_size():
    assert [tap.id for tap in OnnxNetwork(model(size="h")).taps] == [
        "r1:channel", "r2:channel", "r3:channel", "logits:unit"
    ]  # fmt: skip
    for options in ({"taps": ("auto", "first:unit", "r2")}, {"neurons": "unit"}):
        with pytest.raises(ValueError, match=r"expected known sizes for neurons 'unit', got 16x\?x\?; fix the input"):
            OnnxNetwork(model(size="h"), **options)
    network = OnnxNetwork(model(size="h"), input_shape=SHAPE)
    assert network.input_shape == SHAPE
    assert network.taps[1].id == "r1:unit"
    assert network.observe(images()).logits.shape == (3, 10)


def test_a_shape_that_does_not_fit_is_refused():
    for shape in ((3, 16), (1, 16, 16)):
        with pytest.raises(ValueError, match=r"expected input_shape to fit input 'x' of shape .*, got"):
            OnnxNetwork(model(size="h"), input_shape=shape)
    with pytest.raises(ValueError, match=r"to fit input 'x' of shape \('n', 3, 16, 16\), got \(3, 8, 8\)"):
        OnnxNetwork(model(), input_shape=(3, 8, 8))


def test_sizes_that_are_tried_are_named_where_none_fits():
    fixed = [("s", np.array([0, 17 * 17], np.int64))]
    nodes = [("Reshape", "x s", "r", {}), ("Relu", "r", "a", {}), ("Neg", "a", "y", {})]
    data = chain(*nodes, shape=("n", "h", "w"), constants=fixed)
    with pytest.raises(ValueError, match=r"(?s)expected input 'x' to run at a size among 64, .*; say input_shape="):
        OnnxNetwork(data)
    assert OnnxNetwork(data, input_shape=(17, 17)).taps[0].shape == (289,)


def test_a_batch_that_only_seems_open_is_taken_as_the_one_it_runs_with():
    data = chain(
        ("Reshape", "x s", "r", {}), ("Relu", "r", "a", {}), ("ReduceMax", "a", "y", {"axes": [1], "keepdims": 0}),
        shape=("n", 3, 4), constants=[("s", np.array([1, 3, 4], np.int64))],
    )  # fmt: skip
    network = OnnxNetwork(data, taps="a:channel")
    batch = images(3, (3, 4))
    np.testing.assert_array_equal(network.observe(batch).output, np.maximum(batch, 0).max(1))


def test_the_dtype_of_the_input_is_that_of_the_model():
    network = OnnxNetwork(model(dtype=np.uint8))
    batch = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), np.uint8)
    np.testing.assert_array_equal(network.observe(batch).output, run_bare(model(dtype=np.uint8), batch)[0])
    with pytest.raises(TypeError, match="expected a batch of dtype uint8, got float32"):
        network.observe(batch.astype(np.float32))


def test_half_precision_is_read_in_float32():
    data = chain(("Relu", "x", "r", {}), ("Neg", "r", "y", {}), shape=("n", 2, 4, 4), dtype=np.float16)
    network = OnnxNetwork(data, neurons=("channel", "unit", "grid2"), taps="auto")
    batch = images(2, (2, 4, 4)).astype(np.float16)
    channel, unit, grid = network.observe(batch).activations
    relu = np.maximum(batch, 0).astype(np.float32)
    assert {tap.dtype for tap in network.taps} == {"float16"}
    np.testing.assert_allclose(channel, relu.mean((2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(unit, relu.reshape(2, -1))
    np.testing.assert_allclose(grid, relu.reshape(2, 2, 2, 2, 2, 2).mean((3, 5)).reshape(2, -1), rtol=1e-6)


def test_sequences_and_channels_last():
    dense = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    nodes = [("MatMul", "x w", "m", {}), ("Relu", "m", "r", {}), ("Neg", "r", "y", {})]
    for shape, layout in (((6, 4), "NLC"), ((2, 3, 4), "NHWC")):
        network = OnnxNetwork(chain(*nodes, shape=("n", *shape), constants=[("w", dense)]), taps="auto")
        batch = images(2, shape)
        assert network.taps[0].layout == layout
        expected = np.maximum(batch @ dense, 0).mean(tuple(range(1, len(shape))))
        np.testing.assert_allclose(network.observe(batch).activations[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op", ["Relu", "LeakyRelu", "Elu", "Selu", "HardSwish", "Softplus", "Sigmoid", "Tanh"])
def test_activations_of_every_kind_are_tapped_behind_the_operator(op):
    data = chain(("Neg", "x", "n", {}), (op, "n", "a", {}), ("Neg", "a", "y", {}))
    network = OnnxNetwork(data, taps="auto")
    assert [(tap.name, tap.kind) for tap in network.taps[:-1]] == [("a", op.lower())]
    np.testing.assert_array_equal(
        network.observe(images(2, (4,))).activations[0], run_bare(data, images(2, (4,)), ["a"])[0]
    )


def test_gates_are_left_out_where_there_are_activations():
    data = chain(("Sigmoid", "x", "s", {}), ("Mul", "x s", "a", {}), ("Tanh", "a", "y", {}))
    assert [(tap.name, tap.kind) for tap in OnnxNetwork(data, taps="auto").taps] == [("a", "silu"), ("y", "output")]


def test_a_path_and_its_bytes_are_the_same_network(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model())
    assert OnnxNetwork(path).fingerprint == OnnxNetwork(str(path)).fingerprint == OnnxNetwork(model()).fingerprint
    assert OnnxNetwork(path).fingerprint == hashlib.sha256(model()).hexdigest()


def test_weights_beside_the_model_are_read_and_fingerprinted(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.load_from_string(model()), path, save_as_external_data=True, location="model.weights", size_threshold=0
    )
    network = OnnxNetwork(path)
    np.testing.assert_array_equal(network.observe(images()).output, run_bare(model(), images())[0])
    beside = tmp_path / "model.weights"
    changed = bytearray(beside.read_bytes())
    changed[0] ^= 1
    beside.write_bytes(changed)
    assert OnnxNetwork(path).fingerprint != network.fingerprint
    with pytest.raises(ValueError, match=r"expected a path, got bytes of a model .*: model\.weights"):
        OnnxNetwork(path.read_bytes())
    beside.unlink()
    with pytest.raises(FileNotFoundError, match=r"tensor 'w1' lies in .*model\.weights, where there is no file"):
        OnnxNetwork(path)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (images().astype(np.float64), TypeError, "expected a batch of dtype float32, got float64; convert it"),
        (images().tolist(), TypeError, "expected a numpy array, got list"),
        (images()[0], ValueError, r"expected a batch of shape \(n, 3, 16, 16\), got \(3, 16, 16\)"),
        (images()[:, :1], ValueError, r"got \(3, 1, 16, 16\)"),
        (images()[:0], ValueError, r"got \(0, 3, 16, 16\)"),
    ],
)
def test_other_batches_are_refused(batch, error, message):
    network = OnnxNetwork(model())
    for call in (network.observe, network.run):
        with pytest.raises(error, match=message):
            call(batch)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        lambda x: np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1],
        lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    ],
    ids=["strided", "reversed", "read-only"],
)
def test_batches_of_every_make(view):
    network = OnnxNetwork(model())
    np.testing.assert_array_equal(network.observe(view(images())).output, network.observe(images()).output)


def test_nan_passes_through():
    batch = images()
    batch[1, 0, 3, 3] = np.nan
    activations = OnnxNetwork(model(), taps="r1").observe(batch).activations
    assert np.isnan(activations[-1]).any(1).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": "r4"}, r"got 'r4' \(did you mean 'r"),
        ({"taps": "@tanh"}, r"a kind \(@add, @conv, .*\), got '@tanh'"),
        ({"taps": "w1"}, "got 'w1'"),
        ({"neurons": "mean"}, "expected neurons 'unit', .* got 'mean'"),
        (
            {"providers": ["CPUExecutionProvider", "Abacus"]},
            "expected providers among .*CPUExecutionProvider.*, got Abacus",
        ),
        ({"providers": []}, "got none"),
        ({"threads": 0}, "expected 1 thread or more, got 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(), **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected an ONNX model, got 0 bytes"),
        (b"garbage" * 10, "expected an ONNX model, got 70 bytes"),
        (model()[: len(model()) // 2], "expected an ONNX model, got"),
        (chain(("Abracadabra", "x", "y", {})), "expected a model that ONNX Runtime can load, got: .*Abracadabra"),
        (
            chain(("Reshape", "x s", "y", {}), constants=[("s", np.array([3, 5], np.int64))]),
            r"expected a model that takes an input of shape \(2, 4\), got",
        ),
        (chain(("Neg", "x", "y", {})), "expected activations to tap, got none; name tensors among: none"),
        (chain(("Neg", "x", "n", {}), ("Neg", "n", "y", {})), "name tensors among: n$"),
        (chain(("Relu", "x", "y", {}), shape=("n",)), r"expected input 'x' of shape \(batch, \.\.\.\), got \('n',\)"),
        (chain(("Not", "x", "y", {}), dtype=bool), r"expected input 'x' to be a tensor of numbers, got tensor\(bool\)"),
    ],
)  # fmt: skip
def test_models_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(data)


def test_tensors_that_cannot_be_tapped_say_why():
    shape = [("s", np.array([2, 1, 1, 2, 2], np.int64)), ("f", np.array([-1, 1], np.int64))]
    data = chain(
        ("Relu", "x", "r", {}),
        ("Reshape", "r s", "deep", {}),
        ("Reshape", "r f", "flat", {}),
        ("Shape", "r", "size", {}),
        ("Neg", "r", "y", {}),
        constants=shape,
    )
    for name, message in (
        ("deep", r"'deep' cannot be tapped: .* got 5 axes: \(2, 1, 1, 2, 2\)"),
        ("flat", r"'flat' cannot be tapped: expected 2 rows for a batch of 2, got shape \(8, 1\)"),
        ("size", "'size' cannot be tapped: expected a tensor of floats or of quantised codes, got int64"),
    ):
        with pytest.raises(ValueError, match=message):
            OnnxNetwork(data, taps=name)
    assert [tap.name for tap in OnnxNetwork(data, taps="*").taps] == ["r", "y"]


def test_two_inputs_are_refused():
    made = onnx.load_from_string(chain(("Add", "x z", "a", {}), ("Relu", "a", "y", {})))
    made.graph.input.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ("n", 4)))
    with pytest.raises(ValueError, match="expected a model with one input, got x, z"):
        OnnxNetwork(made.SerializeToString())


def test_initializers_among_the_inputs_are_no_inputs():
    made = onnx.load_from_string(model())
    made.graph.input.append(helper.make_tensor_value_info("b4", onnx.TensorProto.FLOAT, (10,)))
    assert OnnxNetwork(made.SerializeToString()).observe(images()).output.shape == (3, 10)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected an ONNX model, found no file at .*none\.onnx"):
        OnnxNetwork(tmp_path / "none.onnx")
    with pytest.raises(FileNotFoundError):
        OnnxNetwork(Path(tmp_path))


def test_a_closed_network_says_so():
    with OnnxNetwork(model()) as network:
        network.run(images())
    for call in (network.observe, network.run):
        with pytest.raises(RuntimeError, match="after close"):
            call(images())


def test_a_missing_onnxruntime_is_named_with_its_install_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'outrider\[onnx\]'"):
        OnnxNetwork(model())


def test_the_repr_is_short():
    assert repr(OnnxNetwork(model(), taps="auto")) == "OnnxNetwork(input (3, 16, 16), float32): 4 taps"
