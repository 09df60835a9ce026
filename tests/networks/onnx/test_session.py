"""The sessions of an OnnxNetwork: their options, constant inputs, fixed buffers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.networks.onnx.session import Runtime  # noqa: E402

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
SHAPE = (3, 8, 8)


def frames(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).astype(np.float32)


def model(batch="n", side=8, sizes=None, dynamic=False):
    """Convolution, ReLU, twice; then a dense layer. With `sizes`, a second input that says how a map is reshaped."""
    rng = np.random.default_rng(1)
    weights = {
        "w1": rng.normal(size=(4, 3, 3, 3)),
        "w2": rng.normal(size=(6, 4, 3, 3)),
        "w3": rng.normal(size=(6, 5)),
        "shape": None,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("ReduceMean", ["r2"], ["p"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["p", "w3"], ["m"]),
    ]
    inputs = [helper.make_tensor_value_info("x", FLOAT, (batch, 3, side, side))]
    outputs = ["y"]
    if sizes is None:
        nodes.append(helper.make_node("Neg", ["m"], ["y"]))
    else:
        inputs.append(helper.make_tensor_value_info("scale", FLOAT, sizes))
        nodes.append(helper.make_node("Mul", ["m", "scale"], ["y"]))
    if dynamic:
        nodes.append(helper.make_node("NonZero", ["r2"], ["places"]))
        outputs.append("places")
    graph = helper.make_graph(
        nodes,
        "test",
        inputs,
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items() if v is not None],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def test_threads_are_said_and_do_not_spin():
    options = OnnxNetwork(model(), threads=3)._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert OnnxNetwork(model())._session.get_session_options().intra_op_num_threads == 1


def test_sessions_are_built_at_construction_alone(monkeypatch):
    built = []
    plain = Runtime.session
    monkeypatch.setattr(Runtime, "session", lambda *args, **options: built.append(options) or plain(*args, **options))
    network = OnnxNetwork(model(), buffers=2)
    assert built == [{"optimised": False}, {}]
    for n in (1, 2, 3):
        network.observe(frames(n))
        network.run(frames(n))
    assert len(built) == 2


def test_run_returns_the_outputs_of_the_model_alone():
    network = OnnxNetwork(model(dynamic=True), taps=("r1", "r2"), scores_output=0)
    values = network.run(frames(2))
    assert [value.shape for value in values][:1] == [(2, 5)]
    assert len(values) == 2
    assert [output.name for output in network._session.get_outputs()][:2] == ["y", "places"]


def test_the_session_runs_on_the_providers_named():
    for providers in (["CPUExecutionProvider"], [("CPUExecutionProvider", {})]):
        network = OnnxNetwork(model(), providers=providers)
        assert network._session.get_provider_options() == {"CPUExecutionProvider": {}}


@pytest.mark.parametrize(
    ("providers", "message"),
    [
        (["Abacus"], "expected providers among .*, got Abacus"),
        ([("Abacus", {"beads": "10"})], "expected providers among .*, got Abacus"),
        ([("CPUExecutionProvider", "fast")], "expected a provider as a name or as a name with a dict of options, got"),
        ([("CPUExecutionProvider", {"turbo": "1"})], "expected no options for CPUExecutionProvider, got turbo"),
        ([7], "expected a provider as a name or as a name with a dict of options, got 7"),
    ],
)
def test_providers_that_make_no_sense_are_refused(providers, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(), providers=providers)


@pytest.fixture
def elsewhere(monkeypatch):
    """A provider that this machine lacks; what it is given is kept, and whatever it raises can be set."""
    seen = SimpleNamespace(given=[], error=None)
    plain = ort.InferenceSession

    class Session(plain):
        def __init__(self, data, options, providers, **others):
            seen.given.append((providers, others))
            if seen.error:
                raise seen.error
            super().__init__(data, options, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return ["AbacusExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["AbacusExecutionProvider", "CPUExecutionProvider"])
    return seen


def test_a_provider_is_given_its_options_and_no_other_takes_its_place(elsewhere):
    providers = [("AbacusExecutionProvider", {"beads": "10"}), "CPUExecutionProvider"]
    OnnxNetwork(model(), providers=providers, exact=True)
    assert elsewhere.given == [(providers, {"enable_fallback": 0})] * 2
    OnnxNetwork(model(), providers=providers)  # also asks what the CPU would fuse
    assert [given for given, _ in elsewhere.given[2:]] == [["CPUExecutionProvider"], providers, providers]


@pytest.mark.parametrize("error", [EPFail, RuntimeError, ValueError])
def test_an_option_that_a_provider_refuses_is_our_error(elsewhere, error):
    elsewhere.error = error("Invalid option: turbo")
    with pytest.raises(ValueError, match="expected a model that ONNX Runtime can load, got: Invalid option: turbo"):
        OnnxNetwork(model(), providers=[("AbacusExecutionProvider", {"turbo": "1"})])


def test_inputs_but_one_can_be_fed_a_constant():
    scale = np.float32([1, -2, 3, 0.5, 7])
    data = model(sizes=(5,))
    with pytest.raises(
        ValueError, match=r"expected a model with one input, got x, scale; give the others .*, feeds=\{'scale': array\}"
    ):
        OnnxNetwork(data)
    network = OnnxNetwork(data, feeds={"scale": scale})
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": frames(3), "scale": scale})
    np.testing.assert_array_equal(network.observe(frames(3)).output, expected)
    np.testing.assert_array_equal(network.run(frames(3)), expected)
    plain = OnnxNetwork(model())
    assert (network.input_shape, network.classes, network.taps) == (plain.input_shape, plain.classes, plain.taps)
    assert network.fingerprint == OnnxNetwork(data, feeds={"scale": scale * 2}).fingerprint


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"sizes": np.float32([1])}, "expected feeds for inputs among x, scale, got 'sizes'"),
        ({"scale": np.ones(5)}, "expected a feed of dtype float32 for input 'scale', got float64"),
        ({"scale": np.ones(4, np.float32)}, r"expected a feed of shape \(5,\) for input 'scale', got \(4,\)"),
        ({"scale": np.float32(1)}, r"expected a feed of shape \(5,\) for input 'scale', got \(\)"),
        ({"scale": np.ones(5, np.float32), "w1": np.ones(1, np.float32)}, "inputs among x, scale, got 'w1'"),
        ({"scale": np.ones(5, np.float32), "x": frames(1)}, "one input, got none"),
    ],
)  # fmt: skip
def test_feeds_that_do_not_fit_are_refused(feeds, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(sizes=(5,)), feeds=feeds)


def addresses(observation):
    return [array.ctypes.data for array in (observation.output, *observation.activations)]


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("neurons", ["channel", ("unit", "channel"), "pixel", "grid2"])
def test_buffers_hold_what_a_plain_run_returns_in_the_same_place(size, neurons):
    plain, bound = (OnnxNetwork(model(), neurons=neurons, buffers=buffers) for buffers in (None, size))
    places = None
    for seed in range(3):
        batch = frames(size, seed)
        found, expected = bound.observe(batch), plain.observe(batch)
        np.testing.assert_array_equal(found.output, expected.output)
        np.testing.assert_array_equal(found.logits, expected.logits)
        for one, other in zip(found.activations, expected.activations, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.flags.c_contiguous
        places = places or addresses(found)
        assert addresses(found) == places
    other = frames(size + 1, 9)
    np.testing.assert_array_equal(bound.observe(other).output, plain.observe(other).output)
    np.testing.assert_array_equal(bound.run(batch), plain.run(batch))


def test_buffers_take_any_batch_and_refuse_what_a_plain_run_does():
    network = OnnxNetwork(model(), buffers=2)
    turned = np.ascontiguousarray(frames(2).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(network.observe(turned).output, network.run(frames(2)))
    with pytest.raises(TypeError, match="expected a batch of dtype float32, got float64"):
        network.observe(frames(2).astype(np.float64))
    with pytest.raises(ValueError, match=r"expected a batch of shape \(n, 3, 8, 8\), got \(2, 3, 8, 7\)"):
        network.observe(frames(2)[..., :7])
    network.close()
    with pytest.raises(RuntimeError, match="after close"):
        network.observe(frames(2))


@pytest.mark.parametrize(
    ("options", "buffers", "message"),
    [
        ({}, 0, "expected buffers for 1 or more frames, got 0"),
        ({"batch": 4}, 2, "expected buffers for 4 frames, got 2"),
        ({"side": "s"}, 2, r"expected known input sizes for buffers, got \(3, None, None\); say input_shape="),
        ({"dynamic": True}, 2, r"expected outputs of one shape for a buffer, got \(4, 0\) and \(4, \d+\) at 'places'"),
    ],
)
def test_buffers_that_cannot_be_are_refused(options, buffers, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(**options), taps="auto", buffers=buffers)


def test_large_frames_are_read_where_they_lie():
    """Also when they are gone afterwards, lie scattered, or follow small steps through a larger array."""
    side = 160
    plain, bound = (OnnxNetwork(model(side=side), neurons="channel", buffers=size) for size in (None, 1))
    rng = np.random.default_rng(0)
    film = rng.random((4, 3, side, side), np.float32)
    scattered = np.ascontiguousarray(film.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert film[:1].nbytes > 1 << 16
    for batch in (film[:1], film[1:2].copy(), scattered[2:3], film[3:4], scattered[:1], film[1:2]):
        before = batch.copy()
        seen, expected = bound.observe(batch), plain.observe(before)
        np.testing.assert_array_equal(seen.output, expected.output)
        for got, wanted in zip(seen.activations, expected.activations, strict=True):
            np.testing.assert_array_equal(got, wanted)
        np.testing.assert_array_equal(batch, before)
        del batch


def test_buffers_of_a_fixed_batch():
    network = OnnxNetwork(model(batch=2), buffers=2)
    np.testing.assert_allclose(
        network.observe(frames(2)).output, OnnxNetwork(model()).run(frames(2)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("neurons", ["channel", ("unit", "channel"), "pixel", "grid2"])
def test_arrays_of_ones_own_hold_what_a_plain_run_returns(neurons):
    network = OnnxNetwork(model(), neurons=neurons)
    one, other = network.buffered(1), network.buffered(1)
    expected = [network.observe(frames(1, seed)) for seed in (0, 1)]
    found = one.observe(frames(1, 0)), other.observe(frames(1, 1))
    for seen, plain in zip(found, expected, strict=True):
        np.testing.assert_array_equal(seen.output, plain.output)
        np.testing.assert_array_equal(seen.logits, plain.logits)
        for got, wanted in zip(seen.activations, plain.activations, strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert one.observe(frames(1, 2)) is found[0] is one.seen
    assert one.size == 1


def test_arrays_of_ones_own_take_no_other_batch_and_none_once_closed():
    network = OnnxNetwork(model())
    room = network.buffered(1)
    with pytest.raises(ValueError, match="expected a batch of 1, got 2"):
        room.observe(frames(2))
    with pytest.raises(TypeError, match="expected a batch of dtype float32, got float64"):
        room.observe(frames(1).astype(np.float64))
    with pytest.raises(TypeError, match="expected a numpy array, got list"):
        room.observe(frames(1).tolist())
    network.close()
    with pytest.raises(RuntimeError, match="after close"):
        room.observe(frames(1))
    with pytest.raises(RuntimeError, match="after close"):
        network.buffered(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dynamic": True}, "expected outputs of one shape for a buffer, got a graph that leaves it open"),
        ({"batch": 4}, "expected buffers for 4 frames, got 1"),
        ({"side": "s"}, "expected (known input sizes|outputs of one shape)"),
    ],
)
def test_arrays_of_ones_own_are_refused_where_a_frame_could_need_others(options, message):
    network = OnnxNetwork(model(**options), taps="auto")
    with pytest.raises(ValueError, match=message):
        network.buffered(1)


def reshaped(unread=False, cut=False):
    """Tokens, heads on the axis of the batch, and class scores behind reshapes to (-1, ...), where ONNX Runtime loses
    sight of the batch; with `unread`, such an output of which nothing is read; with `cut`, an activation that is
    shorter where the frame holds a negative number.
    """
    rng = np.random.default_rng(1)
    weights = {"w": rng.normal(size=(192, 10)).astype(np.float32), "tokens": np.array([-1, 24, 8]),
               "heads": np.array([-1, 12, 8]), "flat": np.array([-1, 192])}  # fmt: skip
    nodes = [
        helper.make_node("Reshape", ["x", "tokens"], ["a"]),
        helper.make_node("Relu", ["a"], ["t"]),
        helper.make_node("Reshape", ["t", "heads"], ["q"]),
        helper.make_node("Transpose", ["q"], ["k"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k"], ["s"]),
        helper.make_node("Softmax", ["s"], ["p"]),
        helper.make_node("MatMul", ["p", "q"], ["h"]),
        helper.make_node("Reshape", ["h", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    outputs = ["y"]
    if unread:
        nodes.append(helper.make_node("Neg", ["f"], ["beside"]))
        outputs.append("beside")
    if cut:
        weights |= {"first": np.array([0]), "axis": np.array([1]), "all": np.array([24]), "less": np.array([20]),
                    "zero": np.zeros(1, np.float32)}  # fmt: skip
        nodes += [
            helper.make_node("ReduceMin", ["x"], ["least"], keepdims=0),
            helper.make_node("Less", ["least", "zero"], ["below"]),
            helper.make_node("Where", ["below", "less", "all"], ["end"]),
            helper.make_node("Slice", ["a", "first", "end", "axis"], ["fewer"]),
            helper.make_node("Tanh", ["fewer"], ["cut"]),
        ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", FLOAT, ("n", *SHAPE))],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("size", [1, 3])
def test_taps_and_scores_of_which_the_graph_loses_sight_are_buffered(size):
    taps = ("t:unit", "t:channel", "t:grid3", "t:pixel", "h:unit", "h:channel-max", "h:head")
    network = OnnxNetwork(reshaped(), taps=taps, exact=True)
    room = network.buffered(size)
    for seed in range(2):
        found, expected = room.observe(frames(size, seed)), network.observe(frames(size, seed))
        np.testing.assert_array_equal(found.output, expected.output)
        for one, other in zip(found.activations, expected.activations, strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_output_that_is_not_read_is_asked_for_its_shape():
    network = OnnxNetwork(reshaped(unread=True), taps="t", scores_output="y")
    with pytest.raises(ValueError, match="expected outputs of one shape for a buffer, got a graph that leaves it open"):
        network.buffered(1)


def test_a_tap_whose_shape_changes_with_the_frame_is_an_error_where_it_changes():
    network = OnnxNetwork(reshaped(cut=True), taps="cut:pixel", exact=True)
    room = network.buffered(1)
    frame = np.abs(frames(1))
    np.testing.assert_array_equal(room.observe(frame).activations[0], network.observe(frame).activations[0])
    with pytest.raises(Exception, match="shape"):
        room.observe(frames(1))
    np.testing.assert_array_equal(room.observe(frame).activations[0], network.observe(frame).activations[0])
