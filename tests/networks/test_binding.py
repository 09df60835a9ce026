"""Binding the taps of one network to those of another, against differences worked out by hand."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest

from outrider.networks import Observation, Tap, Taps, bind, random_frames


class Fake:
    """Shows tensors that are functions of its frames: {tap: function}; the output is the sum over a frame, twice."""

    classes = 2
    dtype = "float32"
    preprocessing = None

    def __init__(self, shown, engine="one", shape=(4,), scores=None):
        self.engine = engine
        self.input_shape = shape
        self.fingerprint = hashlib.sha256(repr(shown).encode()).hexdigest()
        self._shown = list(shown.values())
        self._scores = scores or (
            lambda x: np.stack([x.sum(tuple(range(1, x.ndim))), 1 - x[:, 0].ravel()[: len(x)]], 1)
        )
        output = Tap("scores", "output", (2,), "NC", "float32", "unit")
        self.taps = Taps([*shown, output])
        self.fed = []

    def observe(self, batch):
        self.fed.append(batch)
        scores = self._scores(batch)
        activations = tuple(np.ascontiguousarray(function(batch)) for function in self._shown)
        return Observation(scores, scores, (*activations, scores))

    def run(self, batch):
        return self._scores(batch)

    def close(self):
        pass


def tap(name, kind="relu", size=4, paths=(), dtype="float32", neurons="unit"):
    if neurons != "unit":
        return Tap(name, kind, (size, 5, 5), "NCHW", dtype, neurons, paths)
    return Tap(name, kind, (size,), "NC", dtype, "unit", paths)


def frames(n=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


def first(x):
    return np.maximum(x, 0)


def second(x):
    return np.abs(x[:, ::-1]) + 1


def third(x):
    return x**2


def bound(binding):
    return [(row.a.name, row.b.name, row.how) for row in binding.rows]


def test_paths_bind_whatever_the_order():
    a = Fake({tap("l1.relu"): first, tap("l2.relu"): second})
    b = Fake({tap("t2", paths=("l2.relu", "l2")): second, tap("t1", paths=("l1.relu",)): first}, "two")
    expected = [("l1.relu", "t1", "path"), ("l2.relu", "t2", "path"), ("scores", "scores", "position")]
    for given in (None, frames()):
        binding = bind(a, b, given)
        assert bound(binding) == expected
        assert binding.unbound == ()
    assert (binding.frames, binding.output, binding.predictions_differ, binding.largest) == (6, 0, 0, 0)
    assert bind(a, b).largest is None


def test_the_innermost_shared_path_wins():
    a = Fake({tap("block"): second, tap("block.relu"): first})
    b = Fake({tap("t", paths=("block.relu", "block")): first}, "two")
    assert bound(bind(a, b, frames()))[0] == ("block.relu", "t", "path")
    ((left,)) = bind(a, b, frames()).unbound
    assert (left.side, left.tap.name) == ("a", "block")


def test_names_bind_within_an_engine_only():
    a, b = ({tap("r"): first, tap("s"): second}, {tap("s"): second, tap("r"): first})
    assert bound(bind(Fake(a), Fake(b), frames()))[:2] == [("r", "r", "name"), ("s", "s", "name")]
    assert [how for *_, how in bound(bind(Fake(a), Fake(b, "two")))] == ["path", "path", "position"]


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


def test_position_among_taps_of_one_operator_and_size():
    a = Fake({tap("a1"): first, tap("c", "conv2d", 3, neurons="channel"): lambda x: x[:, :3], tap("a2"): second})
    b = Fake({tap("b1"): first, tap("b2"): second, tap("k", "conv", 3, neurons="channel"): lambda x: x[:, :3]}, "two")
    expected = [("a1", "b1", "position"), ("c", "k", "position"), ("a2", "b2", "position")]
    assert bound(bind(a, b))[:3] == bound(bind(a, b, frames()))[:3] == expected


def test_values_decide_where_the_place_misleads():
    a = Fake({tap("a1"): first, tap("a2"): second})
    b = Fake({tap("b1"): second, tap("b2"): first}, "two")
    assert bound(bind(a, b))[:2] == [("a1", "b1", "position"), ("a2", "b2", "position")]
    assert bound(bind(a, b, frames()))[:2] == [("a1", "b2", "value"), ("a2", "b1", "value")]


def test_values_decide_among_more_candidates():
    a = Fake({tap("a", "silu"): second})
    b = Fake({tap("b1", "mul"): first, tap("b2", "mul"): second, tap("b3", "mul"): third}, "two")
    binding = bind(a, b, frames())
    assert bound(binding)[0] == ("a", "b2", "value")
    assert {unbound.tap.name for unbound in binding.missing("b")} == {"b1", "b3"}
    binding = bind(a, b)
    assert bound(binding) == [("scores", "scores", "position")]
    assert binding.missing("a")[0].reason == "it could be b1:unit, b2:unit, b3:unit; frames would tell"


def test_values_correct_a_path():
    a = Fake({tap("conv"): first, tap("norm"): second})
    b = Fake({tap("folded", paths=("conv",)): lambda x: second(x) + 1e-6, tap("other"): first}, "two")
    assert bound(bind(a, b))[0] == ("conv", "folded", "path")
    assert bound(bind(a, b, frames()))[:2] == [("conv", "other", "value"), ("norm", "folded", "value")]


def test_a_path_whose_values_differ_stays_where_nothing_fits_better():
    a = Fake({tap("l"): first, tap("m"): second})
    b = Fake({tap("t", paths=("l",)): third, tap("u", paths=("m",)): second}, "two")
    row = bind(a, b, frames()).rows[0]
    assert (row.b.name, row.how) == ("t", "path")
    assert row.difference > 0.1


def test_what_cannot_be_bound_says_why():
    a = Fake({tap("a1"): first, tap("a2"): lambda x: -first(x), tap("wide", size=3): lambda x: x[:, :3]})
    b = Fake({tap("b1"): lambda x: third(x) + 9, tap("b2"): lambda x: 9 - third(x), tap("b3"): first}, "two")
    reasons = {unbound.tap.name: unbound.reason for unbound in bind(a, b, frames()).unbound}
    assert reasons["wide"] == "no tap there has its 3 neurons taken by unit"
    assert reasons["a2"].startswith("it could be b1:unit, b2:unit, of which none fits clearly: the nearest differs by ")
    twice = Fake({tap("a1"): first, tap("a2"): first})
    reasons = {unbound.tap.name: unbound.reason for unbound in bind(twice, b, frames()).unbound}
    assert "what fits it best is bound to another: b3:unit" in reasons["a2"] or "none fits clearly" in reasons["a1"]


def test_units_of_another_shape_are_other_neurons():
    maps = [Tap("m", "relu", shape, "NCHW", "float32", "unit") for shape in ((2, 1, 2), (1, 2, 2))]
    left = bind(Fake({maps[0]: first}), Fake({maps[1]: first}, "two"), frames()).missing()
    assert left[0].reason == "no tap there has its 4 neurons taken by unit"


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
    a, b = (OnnxNetwork(data, taps="auto", neurons=("unit", "channel")) for data in (plain, quantised))
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
