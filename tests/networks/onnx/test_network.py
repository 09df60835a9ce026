"""OnnxNetwork against ONNX Runtime on models edited with the package onnx, and against torch."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from outrider.networks import LeNet, OnnxNetwork, TorchNetwork  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402

SHAPE = (3, 16, 16)


def test_activations_are_those_of_an_edited_model(model, run_bare, images):
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
    assert len(ours.activations) == len(theirs.activations) == 6
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


def test_by_default_every_activation_is_pooled_and_the_first_is_seen_unit_by_unit(model):
    network = OnnxNetwork(model())
    assert [tap.id for tap in network.taps] == ["r1:channel", "r1:unit", "r2:channel", "r3:channel", "logits:unit"]


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
        "r1:channel", "r2:channel", "r3:channel", "logits:unit"
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
