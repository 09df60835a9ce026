"""OnnxNetwork against ONNX Runtime on models edited with the package onnx, and against torch."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from outrider.networks import LeNet, OnnxNetwork, TorchNetwork, probabilities  # noqa: E402
from outrider.networks.detections.found import detected  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402

from ...detectors import DECODER, onnx_detector, scene  # noqa: E402

SHAPE = (3, 16, 16)


def test_activations_are_those_of_an_edited_model(model, run_bare, images):
    data, batch = model(), images()
    network = OnnxNetwork(data, taps="auto", neurons="unit")
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
def test_the_outputs_stay_the_same_bit_for_bit(model, run_bare, images, neurons, n):
    data, batch = model(), images(n)
    network = OnnxNetwork(data, neurons=neurons)
    (expected,) = run_bare(data, batch)
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, expected)
    np.testing.assert_array_equal(observation.logits, expected)
    np.testing.assert_array_equal(network.run(batch), expected)
    assert observation.activations[-1] is observation.logits


@pytest.mark.parametrize("neurons", ["unit", "channel", "channel-max", "grid1", "grid2", "grid3", "grid5", "grid8"])
def test_neurons_equal_those_of_torch(model, run_bare, images, neurons):
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
def test_exports_of_a_torch_module_give_the_same_activations(images, tmp_path, dynamo):
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
    assert len(ours.activations) == len(theirs.activations) == 7
    for found, expected in zip(ours.activations, theirs.activations, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_any_tensor_can_be_tapped_by_name_glob_or_kind(model, run_bare, images):
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


def test_by_default_every_activation_is_pooled_the_first_also_taken_by_unit_and_the_last_by_its_largest(model):
    network = OnnxNetwork(model())
    assert [tap.id for tap in network.taps] == [
        "r1:channel", "r1:unit", "r2:channel", "r3:channel", "r3:channel-max", "logits:unit"
    ]  # fmt: skip


def test_the_class_scores_alone(model, images):
    network = OnnxNetwork(model(), taps="@output")
    assert [tap.id for tap in network.taps] == ["logits:unit"]
    assert network.observe(images()).activations[0].shape == (3, 10)


def test_a_tapped_output_is_fetched_once(model, run_bare, images):
    data = model(outputs=("logits", "r3"))
    observation = OnnxNetwork(data, taps="auto", neurons="unit").observe(images())
    logits, r3 = run_bare(data, images())
    assert isinstance(observation.output, tuple)
    np.testing.assert_array_equal(observation.output[0], logits)
    np.testing.assert_array_equal(observation.output[1], r3)
    np.testing.assert_array_equal(observation.activations[2], r3.reshape(3, -1))


def test_names_like_ours_do_no_harm(model, run_bare, images):
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
def test_logits_among_several_outputs(model, images, logits):
    data = model(outputs=("r3", "logits"))
    network = OnnxNetwork(data, scores_output=logits)
    observation = network.observe(images())
    assert network.classes == 10
    np.testing.assert_array_equal(observation.logits, observation.output[1])
    assert len(network.run(images())) == 2


@pytest.mark.parametrize("logits", [2, -1, "scores"])
def test_outputs_that_are_not_there_are_refused(model, logits):
    with pytest.raises(ValueError, match="expected scores_output to be an index or one of the outputs r3, logits, got"):
        OnnxNetwork(model(outputs=("r3", "logits")), scores_output=logits)


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
def test_a_fixed_batch_is_run_in_pieces(model, images, n):
    fixed = OnnxNetwork(model(batch=4), neurons=("channel", "unit"))
    free = OnnxNetwork(model(), neurons=("channel", "unit"))
    first, second = fixed.observe(images(n)), free.observe(images(n))
    np.testing.assert_allclose(first.output, second.output, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fixed.run(images(n)), second.output, rtol=1e-4, atol=1e-5)
    for found, expected in zip(first.activations, second.activations, strict=True):
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pieces_need_outputs_with_a_batch_axis(model, images):
    total = [helper.make_node("ReduceSum", ["logits"], ["total"], keepdims=0)]
    network = OnnxNetwork(model(batch=2, outputs=("logits", "total"), tail=total))
    assert len(network.observe(images(2)).output) == 2
    with pytest.raises(ValueError, match="expected a batch of 2, which the model fixes, got 3"):
        network.observe(images(3))


@pytest.mark.parametrize("neurons", ["channel", "channel-max", "grid2", "grid3"])
def test_an_image_size_may_stay_open(model, run_bare, images, neurons):
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


def test_units_need_an_image_size(model, images):
    assert [tap.id for tap in OnnxNetwork(model(size="h")).taps] == [
        "r1:channel", "r2:channel", "r3:channel", "r3:channel-max", "logits:unit"
    ]  # fmt: skip
    for options in ({"taps": ("auto", "first:unit", "r2")}, {"neurons": "unit"}):
        with pytest.raises(ValueError, match=r"expected known sizes for neurons 'unit', got 16x\?x\?; fix the input"):
            OnnxNetwork(model(size="h"), **options)
    network = OnnxNetwork(model(size="h"), input_shape=SHAPE)
    assert network.input_shape == SHAPE
    assert network.taps[1].id == "r1:unit"
    assert network.observe(images()).logits.shape == (3, 10)


@pytest.mark.parametrize("op", ["Relu", "LeakyRelu", "Elu", "Selu", "HardSwish", "Softplus", "Sigmoid", "Tanh"])
def test_activations_of_every_kind_are_tapped_behind_the_operator(chain, run_bare, images, op):
    data = chain(("Neg", "x", "n", {}), (op, "n", "a", {}), ("Neg", "a", "y", {}))
    network = OnnxNetwork(data, taps="auto")
    assert [(tap.name, tap.kind) for tap in network.taps[:-1]] == [("a", op.lower())]
    np.testing.assert_array_equal(
        network.observe(images(2, (4,))).activations[0], run_bare(data, images(2, (4,)), ["a"])[0]
    )


def test_gates_are_left_out_where_there_are_activations(chain):
    data = chain(("Sigmoid", "x", "s", {}), ("Mul", "x s", "a", {}), ("Tanh", "a", "y", {}))
    assert [(tap.name, tap.kind) for tap in OnnxNetwork(data, taps="auto").taps] == [("a", "silu"), ("y", "output")]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x.astype(np.float64), TypeError, "expected a batch of dtype float32, got float64; convert it"),
        (lambda x: x.tolist(), TypeError, "expected a numpy array, got list"),
        (lambda x: x[0], ValueError, r"expected a batch of shape \(n, 3, 16, 16\), got \(3, 16, 16\)"),
        (lambda x: x[:, :1], ValueError, r"got \(3, 1, 16, 16\)"),
        (lambda x: x[:0], ValueError, r"got \(0, 3, 16, 16\)"),
    ],
)
def test_other_batches_are_refused(model, images, change, error, message):
    network = OnnxNetwork(model())
    for call in (network.observe, network.run):
        with pytest.raises(error, match=message):
            call(change(images()))


@pytest.mark.parametrize(
    "view",
    [
        lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        lambda x: np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1],
        lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    ],
    ids=["strided", "reversed", "read-only"],
)
def test_batches_of_every_make(model, images, view):
    network = OnnxNetwork(model())
    np.testing.assert_array_equal(network.observe(view(images())).output, network.observe(images()).output)


def test_nan_passes_through(model, images):
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
def test_options_that_do_not_fit_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(), **options)


def test_a_closed_network_says_so(model, images):
    with OnnxNetwork(model()) as network:
        network.run(images())
    for call in (network.observe, network.run):
        with pytest.raises(RuntimeError, match="after close"):
            call(images())


def test_the_repr_is_short(model):
    assert repr(OnnxNetwork(model(), taps="auto")) == "OnnxNetwork(input (3, 16, 16), float32): 4 taps"


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("batch", ["n", 1, 2])
def test_several_inputs_are_fed_each_as_the_graph_takes_it(camera_and_state, pairs, run_alone, batch, n):
    network = OnnxNetwork(camera_and_state(batch), taps=("r:channel", "a"), buffers=batch if batch == 2 else 1)
    assert [tuple(one) for one in network.inputs] == [("camera", (3, 8, 8), "uint8"), ("state", (5,), "float64")]
    assert (network.input_shape, network.dtype, network.classes) == ((3, 8, 8), "uint8", 4)
    camera, state = pairs(n)
    if batch == 2:
        camera_, state_ = (np.concatenate([part, part[:1]]) if n % 2 else part for part in (camera, state))
        pieces = [
            run_alone(camera_and_state(2), camera=camera_[i : i + 2], state=state_[i : i + 2])
            for i in range(0, len(camera_), 2)
        ]
    elif batch == 1:
        pieces = [run_alone(camera_and_state(1), camera=camera[i : i + 1], state=state[i : i + 1]) for i in range(n)]
    else:
        pieces = [run_alone(camera_and_state(), camera=camera, state=state)]
    expected = np.concatenate([piece[0] for piece in pieces])[:n]
    for given in ((camera, state), [camera, state], {"state": state, "camera": camera}):
        seen = network.observe(given)
        np.testing.assert_array_equal(seen.output, expected)
        np.testing.assert_array_equal(network.run(given), expected)
        np.testing.assert_array_equal(seen.logits, expected)
        np.testing.assert_array_equal(seen.activations[1], -expected)
        assert [array.shape for array in seen.activations] == [(n, 8), (n, 4), (n, 4)]


def test_batches_of_several_inputs_that_do_not_fit_name_the_input(camera_and_state, pairs):
    network = OnnxNetwork(camera_and_state(), taps="r")
    camera, state = pairs(3)
    with pytest.raises(TypeError, match="input 'camera': expected a batch of dtype uint8, got float32; convert it"):
        network.observe((camera.astype(np.float32), state))
    with pytest.raises(ValueError, match="expected as many frames of every input, got camera 3, state 2"):
        network.run((camera, state[:2]))
    with pytest.raises(TypeError, match=r"expected a tuple of 2 arrays \(camera, state\)"):
        network.observe(camera)
    assert repr(network) == "OnnxNetwork(inputs camera (3, 8, 8) uint8, state (5,) float64): 2 taps"


@pytest.mark.parametrize("shape", [("n", 8, 8, 3), (1, 8, 8, 3)])
def test_pictures_of_bytes_with_the_channels_last_are_fed_as_they_are(graph, run_alone, shape):
    nodes = [("Cast", "x", "f", {"to": 1}), ("Transpose", "f", "t", {"perm": [0, 3, 1, 2]}), ("Conv", "t w", "c", {}),
             ("Relu", "c", "r", {}), ("GlobalAveragePool", "r", "p", {}), ("Flatten", "p", "y", {})]  # fmt: skip
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    data = graph(nodes, {"x": (np.uint8, shape)}, {"y": (shape[0], 4)}, {"w": weights})
    network = OnnxNetwork(data, taps="r", neurons="channel")
    assert (network.input_shape, network.dtype) == ((8, 8, 3), "uint8")
    frames = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    expected = np.concatenate([run_alone(data, x=frames[i : i + 1])[0] for i in range(2)])
    seen = network.observe(frames)
    np.testing.assert_array_equal(seen.output, expected)
    np.testing.assert_allclose(seen.activations[0], expected, rtol=1e-6)
    with pytest.raises(TypeError, match="expected a batch of dtype uint8, got float32"):
        network.observe(frames.astype(np.float32))


@pytest.fixture
def alone(graph):
    """A model of one picture (3, 12, 16) without a batch axis: maps inside that have one, and one that has none."""

    def make(outputs=("y",)):
        rng = np.random.default_rng(5)
        nodes = [
            ("Neg", "x", "n", {}),
            ("Tanh", "n", "map", {}),
            ("Unsqueeze", "map first", "u", {}),
            ("Conv", "u w", "c", {}),
            ("Relu", "c", "r", {}),
            ("GlobalAveragePool", "r", "p", {}),
            ("Flatten", "p", "f", {}),
            ("MatMul", "f d", "z", {}),
            ("Squeeze", "z first", "q", {}),
            ("Relu", "q", "row", {}),
            ("Softmax", "row", "y", {}),
        ]
        constants = {
            "first": np.array([0]), "w": rng.normal(size=(6, 3, 3, 3)).astype(np.float32),
            "d": rng.normal(size=(6, 4)).astype(np.float32),
        }  # fmt: skip
        return graph(nodes, {"x": (np.float32, (3, 12, 16))}, dict.fromkeys(outputs), constants)

    return make


def test_a_graph_of_one_frame_is_run_frame_by_frame(alone, images, run_alone):
    names = ("y", "map", "r", "row")
    network = OnnxNetwork(alone(), taps=("map:channel", "map:unit", "map:pixel", "r:grid2", "row"), batch_axis=False)
    assert (network.input_shape, network.classes, network.scores) == ((3, 12, 16), 4, "probabilities")
    assert {tap.name: (tap.shape, tap.layout) for tap in network.taps} == {
        "map": ((3, 12, 16), "NCHW"), "r": ((6, 10, 14), "NCHW"), "row": ((4,), "NC"), "y": ((4,), "NC")
    }  # fmt: skip
    frames = images(3, (3, 12, 16))
    expected = [dict(zip(names, run_alone(alone(names), x=frame), strict=True)) for frame in frames]
    seen = network.observe(frames)
    assert isinstance(seen.output, list)
    for output, plain, wanted in zip(seen.output, network.run(frames), expected, strict=True):
        np.testing.assert_array_equal(output, wanted["y"])
        np.testing.assert_array_equal(plain, wanted["y"])
    maps = np.stack([wanted["map"] for wanted in expected])
    found = dict(zip((tap.id for tap in network.taps), seen.activations, strict=True))
    np.testing.assert_allclose(found["map:channel"], maps.mean((2, 3)), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["map:unit"], maps.reshape(3, -1))
    np.testing.assert_array_equal(found["map:pixel"], np.moveaxis(maps, 1, -1).reshape(-1, 3))
    squares = np.concatenate([wanted["r"] for wanted in expected]).reshape(3, 6, 2, 5, 2, 7).mean((3, 5))
    np.testing.assert_allclose(found["r:grid2"], squares.reshape(3, -1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["row:unit"], [wanted["row"] for wanted in expected])
    np.testing.assert_array_equal(seen.logits, [wanted["y"] for wanted in expected])


def test_the_output_for_one_frame_of_such_a_graph_is_the_graphs(alone, images, run_alone):
    frame = images(1, (3, 12, 16))
    for outputs in (("y",), ("y", "row")):
        network = OnnxNetwork(alone(outputs), taps="r", batch_axis=False)
        expected = run_alone(alone(outputs), x=frame[0])
        for output in (network.run(frame), network.observe(frame).output, network.unbatched(network.run(frame))):
            values = output if len(outputs) > 1 else (output,)
            for found, wanted in zip(values, expected, strict=True):
                np.testing.assert_array_equal(found, wanted)
    with pytest.raises(ValueError, match=r"got \(3, 12, 16\), which may be one frame or a batch of 3; say batch_axis="):
        OnnxNetwork(alone())
    with pytest.raises(ValueError, match=r"expected a batch of shape \(n, 3, 12, 16\), got \(3, 12, 16\)"):
        network.observe(frame[0])


def test_a_graph_of_one_row_of_numbers(graph):
    data = graph(
        [("Relu", "x", "r", {}), ("ReduceSum", "r", "y", {"keepdims": 0})], {"x": (np.float32, (5,))}, {"y": ()}
    )
    network = OnnxNetwork(data, taps="r", batch_axis=False)
    rows = np.float32([[1, -2, 3, 0, 1], [1, 1, 1, 1, -9]])
    seen = network.observe(rows)
    assert seen.output == [5, 4]
    np.testing.assert_array_equal(seen.activations[0], np.maximum(rows, 0))
    assert network.run(rows[:1]) == 5


def test_a_graph_without_a_batch_axis_takes_single_numbers_too(graph):
    data = graph(
        [("Relu", "x", "r", {}), ("Mul", "r s", "y", {})], {"x": (np.float32, (3,)), "s": (np.float32, ())}, {"y": (3,)}
    )
    network = OnnxNetwork(data, taps="r", batch_axis=False)
    rows, numbers = np.float32([[1, -2, 3], [4, 5, -6]]), np.float32([2, 3])
    np.testing.assert_array_equal(network.run((rows, numbers)), [[2, 0, 6], [12, 15, 0]])
    own = network.buffered(1)
    np.testing.assert_array_equal(own.observe((rows[1:], numbers[1:])).output, [12, 15, 0])


SCORES = {
    "one logit": ([("MatMul", "f d", "y", {})], ("n", 1), lambda y: np.stack([0 * y, y], 1), "logits"),
    "one logit of no axis": (
        [("MatMul", "f d", "z", {}), ("Squeeze", "z one", "y", {})], ("n",), lambda y: np.stack([0 * y, y], 1), "logits"
    ),
    "one probability": (
        [("MatMul", "f d", "z", {}), ("Sigmoid", "z", "y", {})], ("n", 1), lambda y: np.stack([1 - y, y], 1),
        "probabilities",
    ),
    "rows": ([("MatMul", "f e", "y", {})], ("n", 3), lambda y: y.reshape(-1, 3), "logits"),
    "map of one place": ([("Conv", "p k", "y", {})], ("n", 3, 1, 1), lambda y: y.reshape(-1, 3), "logits"),
    "shares of one place": (
        [("Conv", "p k", "z", {}), ("Softmax", "z", "y", {"axis": 1})], ("n", 3, 1, 1), lambda y: y.reshape(-1, 3),
        "probabilities",
    ),
    "half precision": (
        [("MatMul", "f e", "z", {}), ("Cast", "z", "h", {"to": 10}), ("Cast", "h", "y", {"to": 1})], ("n", 3),
        lambda y: y.reshape(-1, 3), "logits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SCORES)
@pytest.mark.parametrize("batch", ["n", 1])
def test_class_scores_of_every_form(graph, images, run_alone, case, batch):
    last, says, rows_of, kind = SCORES[case]
    rng = np.random.default_rng(2)
    sizes = {"w": (6, 3, 3, 3), "d": (6, 1), "e": (6, 3), "k": (3, 6, 1, 1)}
    constants = {name: rng.normal(size=shape).astype(np.float32) for name, shape in sizes.items()}
    nodes = [("Conv", "x w", "c", {}), ("Relu", "c", "r", {}), ("GlobalAveragePool", "r", "p", {}),
             ("Flatten", "p", "f", {}), *last]  # fmt: skip
    data = graph(nodes, {"x": (np.float32, (batch, 3, 9, 9))}, {"y": (batch, *says[1:])}, constants | {"one": [1]})
    classes = 2 if case.startswith("one") else 3
    network = OnnxNetwork(data, taps="r:channel", classes=2 if classes == 2 else "auto")
    frames = images(4, (3, 9, 9))
    expected = np.concatenate([run_alone(data, x=frames[i : i + 1])[0] for i in range(4)])
    rows = rows_of(expected.ravel() if classes == 2 else expected)
    seen = network.observe(frames)
    assert (network.classes, network.scores, network.taps[-1].shape) == (classes, kind, (classes,))
    np.testing.assert_allclose(seen.output, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen.logits, rows, rtol=1e-5, atol=1e-6)
    assert (seen.logits.dtype, seen.logits.flags.c_contiguous) == (np.float32, True)
    assert seen.activations[-1] is seen.logits
    own = network.buffered(1)
    for i in range(4):
        np.testing.assert_allclose(own.observe(frames[i : i + 1]).logits, rows[i : i + 1], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(own.seen.activations[-1], own.seen.logits)
    assert np.shape(network.unbatched(network.run(frames[:1]))) == expected.shape[1:]


def test_one_number_a_frame_is_no_class_score_unless_told(chain, images):
    data = chain(("Relu", "x", "a", {}), ("ReduceSum", "a one", "y", {}), constants=[("one", np.array([1]))])
    network = OnnxNetwork(data, taps="a")
    assert (network.classes, network.scores) == (None, "logits")
    assert network.observe(images(2, (4,))).logits is None
    with pytest.raises(ValueError, match=r"expected class scores of shape \(2, 3\) for a batch of 2, got \(2, 1\)"):
        OnnxNetwork(data, taps="a", classes=3)


def test_a_softmax_in_eight_bits_gives_probabilities(chain):
    """Codes of 1/100: rows sum to 0.99 or 1.01."""
    nodes = [("Softmax", "x", "s", {}), ("QuantizeLinear", "s scale zero", "q", {}),
             ("DequantizeLinear", "q scale zero", "y", {})]  # fmt: skip
    data = chain(*nodes, constants=[("scale", np.float32(0.01)), ("zero", np.int8(-128))])
    network = OnnxNetwork(data, taps="@output")
    logits = np.float32([[0, 0, 0, -20], [0.3, 0.2, 0.1, 0.0]])
    seen = network.observe(logits)
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert network.scores == "probabilities"
    assert seen.output[0].sum() < 0.9901
    np.testing.assert_array_equal(probabilities(seen.logits, network.scores), seen.output)
    np.testing.assert_allclose(seen.output, share, atol=0.0051)
    assert OnnxNetwork(data, taps="@output", scores="logits").scores == "logits"
    with pytest.raises(ValueError, match="expected scores 'auto', 'logits', 'probabilities', got 'softmax'"):
        OnnxNetwork(data, taps="@output", scores="softmax")


def in_a_function(kind):
    """Scores (n, 3) behind a local function that is one operator."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Last", ["r"], ["y"], domain="own")]
    last = helper.make_function("own", "Last", ["a"], ["b"], [helper.make_node(kind, ["a"], ["b"])], opsets[:1])
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("n", 3)) for name in "xy"]
    graph = helper.make_graph(nodes, "test", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=opsets, functions=[last], ir_version=8).SerializeToString()


@pytest.mark.parametrize(("kind", "scores"), [("Softmax", "probabilities"), ("Sigmoid", "logits"), ("Neg", "logits")])
def test_scores_of_a_function_are_told_by_their_values(kind, scores):
    assert OnnxNetwork(in_a_function(kind), taps="r").scores == scores


def test_scores_that_are_no_tensor_are_refused_where_they_are_named(graph):
    nodes = [("Relu", "x", "r", {}), ("SplitToSequence", "r", "y", {})]
    made = onnx.load_from_string(graph(nodes, {"x": (np.float32, ("n", 4))}, {"y": ()}))
    sequence = helper.make_tensor_sequence_value_info("y", onnx.TensorProto.FLOAT, None)
    made.graph.output[0].CopyFrom(sequence)
    assert OnnxNetwork(made.SerializeToString(), taps="r").classes is None
    with pytest.raises(ValueError, match="scores_output 'y': expected a tensor, got list; name a tensor, or classes="):
        OnnxNetwork(made.SerializeToString(), taps="r", scores_output="y")


def test_detections_are_decoded_of_the_output():
    frames = np.stack([scene((1, 2, 0, 0.3), (5, 4, 1, 0.3)), scene()])
    with OnnxNetwork(onnx_detector(), taps="features", detections=DECODER) as network:
        assert network.classes is None
        both, none = detected(network.detections, network.observe(frames).output, 2)
    boxes = dict(zip(both.classes.tolist(), both.boxes.round().tolist(), strict=True))
    assert boxes == {0: [4, 8, 12, 16], 1: [20, 16, 28, 24]}
    assert not len(none.boxes)


def test_a_budget_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match=r"got 'budget:1\.05': outrider\.runtime\.taps_within\("):
        OnnxNetwork("there is no such file.onnx", taps="budget:1.05")
