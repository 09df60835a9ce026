"""The taps of two networks side by side, against differences worked out by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.networks import Recurrent, bind, random_frames

from .several import Cell, Fused, fused_frames
from .shown import Fake, first, frames, tap


def test_differences_are_relative_to_the_scale_and_over_all_batches():
    a = Fake({tap("r"): first})
    b = Fake({tap("r"): lambda x: first(x) * 1.01}, scores=lambda x: np.stack([x.sum(1), 3 - x[:, 0]], 1))
    batches = [frames(5), frames(3, seed=1)]
    binding = bind(a, b, iter(batches))
    x = np.concatenate(batches).astype(np.float64)
    relu = np.maximum(x, 0)
    assert binding.rows[0].difference == pytest.approx((0.01 * relu).max() / (1.01 * relu).max(), rel=1e-4)
    one, other = a.run(x), b.run(x)
    scale = max(np.abs(one).max(), np.abs(other).max())
    assert binding.output == binding.rows[1].difference == pytest.approx(2 / scale, rel=1e-5)
    assert binding.predictions_differ == (one.argmax(1) != other.argmax(1)).sum() > 0
    assert binding.frames == 8
    assert binding.largest == binding.output


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [(np.nan, np.nan, 0.0), (np.nan, 1.0, np.inf), (np.inf, np.inf, 0.0), (np.inf, -np.inf, np.inf), (0.0, 0.0, 0.0)],
)
def test_differences_of_what_is_no_number(mine, theirs, expected):
    def showing(value):
        return Fake({tap("r"): lambda x: np.full_like(x, value)})

    assert bind(showing(mine), showing(theirs), frames()).rows[0].difference == expected


def test_codes_are_brought_to_values_by_a_line():
    a = Fake({tap("l"): first})
    b = Fake({tap("q", dtype="uint8", paths=("l",)): lambda x: np.round(first(x) / 0.02).clip(0, 255)}, "two")
    for binding in (bind(a, b, frames()), bind(b, a, frames())):
        assert binding.rows[0].how == "path"
        assert 0 < binding.rows[0].difference < 0.01
    constant = Fake({tap("q", dtype="uint8", paths=("l",)): lambda x: np.full_like(x, 7)}, "two")
    assert bind(a, constant, frames()).rows[0].difference > 0.1


def test_frames_are_given_as_each_network_takes_them():
    pictures = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    a = Fake(
        {tap("r"): lambda x: x.reshape(len(x), -1)[:, :4]}, shape=(3, 4, 5), scores=lambda x: np.zeros((len(x), 2))
    )
    b = Fake({tap("r"): lambda x: np.moveaxis(x, -1, 1).reshape(len(x), -1)[:, :4]}, shape=(4, 5, 3), scores=a.run)
    b.dtype = "float16"
    assert bind(a, b, pictures).rows[0].difference == pytest.approx(0, abs=1e-3)
    np.testing.assert_array_equal(b.fed[0], np.moveaxis(pictures, 1, -1).astype(np.float16))


@pytest.mark.parametrize("given", [[], np.zeros((0, 4), np.float32), [np.zeros((0, 4), np.float32)]])
def test_no_frames_are_refused(given):
    network = Fake({tap("r"): first})
    with pytest.raises(ValueError, match="expected frames to compare the networks on, got none"):
        bind(network, network, given)


def test_other_outputs_are_refused():
    a, b = Fake({tap("r"): first}), Fake({tap("r"): first}, scores=lambda x: x[:, :1])
    with pytest.raises(ValueError, match=r"outputs of the same shapes, got \(6, 2\) and \(6, 1\)"):
        bind(a, b, frames())


def test_random_frames():
    network = Fake({tap("r"): first}, shape=(3, 4))
    found = random_frames(network, 5)
    assert (found.shape, found.dtype) == ((5, 3, 4), np.float32)
    np.testing.assert_array_equal(found, random_frames(network, 5))
    network.dtype = "uint8"
    assert random_frames(network, 50).max() > 200
    network.dtype = "int8"
    assert random_frames(network, 50).min() >= 0
    network.input_shape = (3, None)
    with pytest.raises(ValueError, match=r"expected a network whose input sizes are known, got \(3, None\)"):
        random_frames(network)


def test_a_model_and_its_quantised_form():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    from outrider.networks import OnnxNetwork

    constants = {"scale": np.float32(4 / 255), "zero": np.uint8(0)}

    def model(*nodes):
        graph = helper.make_graph(
            [helper.make_node(op, inputs.split(), [output]) for op, inputs, output in nodes],
            "test",
            [helper.make_tensor_value_info("x", 1, ("n", 3, 4, 4))],
            [helper.make_empty_tensor_value_info("y")],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    plain = model(("Relu", "x", "r"), ("GlobalAveragePool", "r", "p"), ("Neg", "p", "y"))
    codes = ("QuantizeLinear", "r scale zero", "q"), ("DequantizeLinear", "q scale zero", "d")
    quantised = model(("Relu", "x", "r"), *codes, ("GlobalAveragePool", "d", "p"), ("Neg", "p", "y"))
    a, b = (OnnxNetwork(data, taps="auto", neurons=("unit", "channel"), classes=None) for data in (plain, quantised))
    binding = bind(a, b, random_frames(a))
    assert [row.a.id for row in binding.rows] == ["r:unit", "r:channel"]
    assert {row.b.quantised for row in binding.rows} == {True}
    assert max(row.difference for row in binding.rows) < 0.01


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_a_module_and_its_export(dynamo, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from outrider.networks import OnnxNetwork, SmallResNet, TorchNetwork

    torch.manual_seed(0)
    module = SmallResNet().eval()
    axes = {"dynamic_shapes": {"x": {0: "n"}}} if dynamo else {"dynamic_axes": {"x": {0: "n"}}}
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.zeros(2, 3, 32, 32),)
        torch.onnx.export(module, example, str(path), input_names=["x"], dynamo=dynamo, verbose=False, **axes)
    a, b = TorchNetwork(module, (3, 32, 32)), OnnxNetwork(path)
    binding = bind(a, b, random_frames(b))
    assert binding.unbound == ()
    assert [row.a.id for row in binding.rows] == [tap.id for tap in a.taps]
    assert {row.how for row in binding.rows[:-1]} <= {"path"}
    assert binding.largest < 1e-5
    assert binding.predictions_differ == 0
    one, other = a.observe(random_frames(b)).activations, b.observe(random_frames(b)).activations
    for row in binding.rows:
        i, j = a.taps.index(row.a), b.taps.index(row.b)
        scale = max(np.abs(one[i]).max(), np.abs(other[j]).max())
        assert row.difference == pytest.approx(np.abs(one[i] - other[j]).max() / scale, rel=1e-3, abs=1e-12)


def test_inputs_are_bound_by_name_or_else_by_order():
    class Turned(Fused):
        @property
        def inputs(self):
            return super().inputs[::-1]

        def observe(self, batch):
            return super().observe(batch[::-1])

    class Renamed(Fused):
        names = "x", "y"

    whole = fused_frames(6)
    named = {"speed": whole[1].astype(np.float64), "camera": whole[0]}
    for other, given in ((Turned(), [whole, named]), (Renamed(), whole), (Fused(), named)):
        binding = bind(Fused(), other, given)
        assert binding.largest == 0
        assert binding.frames == (12 if isinstance(given, list) else 6)
    one = Fake({tap("r"): first})
    with pytest.raises(ValueError, match="expected networks of as many inputs, got 2 and 1"):
        bind(Fused(), one, whole)
    assert [part.shape for part in random_frames(Fused(), 3)] == [(3, 1, 5, 6), (3, 4)]


def test_recurrent_networks_begin_anew():
    a, b = (Recurrent(Cell(), {"h_in": "h_out"}) for _ in range(2))
    a.run(fused_frames(3)[0])
    assert bind(a, b, [fused_frames(4, seed)[0] for seed in (1, 2)]).largest == 0
