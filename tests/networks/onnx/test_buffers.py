"""Arrays that are bound to a session once: those of a network and those of one's own."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402

SHAPE = (3, 8, 8)
TAIL = [helper.make_node("NonZero", ["r2"], ["places"])]
DYNAMIC = {"outputs": ("logits", "places"), "tail": TAIL}
"""A second output whose shape depends on the frame."""


def addresses(observation):
    return [array.ctypes.data for array in (observation.output, *observation.activations)]


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("neurons", ["channel", ("unit", "channel"), "pixel", "pixel3", "grid2"])
def test_buffers_hold_what_a_plain_run_returns_in_the_same_place(model, images, size, neurons):
    plain, bound = (OnnxNetwork(model(), neurons=neurons, buffers=buffers) for buffers in (None, size))
    places = None
    for seed in range(3):
        batch = images(size, seed=seed)
        found, expected = bound.observe(batch), plain.observe(batch)
        np.testing.assert_array_equal(found.output, expected.output)
        np.testing.assert_array_equal(found.logits, expected.logits)
        for one, other in zip(found.activations, expected.activations, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.flags.c_contiguous
        places = places or addresses(found)
        assert addresses(found) == places
    other = images(size + 1, seed=9)
    np.testing.assert_array_equal(bound.observe(other).output, plain.observe(other).output)
    np.testing.assert_array_equal(bound.run(batch), plain.run(batch))


def test_buffers_take_any_batch_and_refuse_what_a_plain_run_does(model, images):
    network = OnnxNetwork(model(), buffers=2)
    turned = np.ascontiguousarray(images(2).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(network.observe(turned).output, network.run(images(2)))
    with pytest.raises(TypeError, match="expected a batch of dtype float32, got float64"):
        network.observe(images(2).astype(np.float64))
    with pytest.raises(ValueError, match=r"expected a batch of shape \(n, 3, 16, 16\), got \(2, 3, 16, 7\)"):
        network.observe(images(2)[..., :7])
    network.close()
    with pytest.raises(RuntimeError, match="after close"):
        network.observe(images(2))


@pytest.mark.parametrize(
    ("options", "buffers", "message"),
    [
        ({}, 0, "expected buffers for 1 or more frames, got 0"),
        ({"batch": 4}, 2, "expected buffers for 4 frames, got 2"),
        ({"size": "s"}, 2, r"expected known input sizes for buffers, got \(3, None, None\); say input_shape="),
        (DYNAMIC, 2, r"expected outputs of one shape for a buffer, got \(4, 0\) and \(4, \d+\) at 'places'"),
    ],
)
def test_buffers_that_cannot_be_are_refused(model, options, buffers, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(**options), taps="auto", buffers=buffers)


def test_large_frames_are_read_where_they_lie(model):
    """Also when they are gone afterwards, lie scattered, or follow small steps through a larger array."""
    side = 160
    plain, bound = (OnnxNetwork(model(size=side), neurons="channel", buffers=size) for size in (None, 1))
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


def test_buffers_of_a_fixed_batch(model, images):
    network = OnnxNetwork(model(batch=2), buffers=2)
    np.testing.assert_allclose(
        network.observe(images(2)).output, OnnxNetwork(model()).run(images(2)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("neurons", ["channel", ("unit", "channel"), "pixel", "pixel3", "grid2"])
def test_arrays_of_ones_own_hold_what_a_plain_run_returns(model, images, neurons):
    network = OnnxNetwork(model(), neurons=neurons)
    one, other = network.buffered(1), network.buffered(1)
    expected = [network.observe(images(1, seed=seed)) for seed in (0, 1)]
    found = one.observe(images(1)), other.observe(images(1, seed=1))
    for seen, plain in zip(found, expected, strict=True):
        np.testing.assert_array_equal(seen.output, plain.output)
        np.testing.assert_array_equal(seen.logits, plain.logits)
        for got, wanted in zip(seen.activations, plain.activations, strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert one.observe(images(1, seed=2)) is found[0] is one.seen
    assert one.size == 1


def test_arrays_of_ones_own_take_no_other_batch_and_none_once_closed(model, images):
    network = OnnxNetwork(model())
    own = network.buffered(1)
    with pytest.raises(ValueError, match="expected a batch of 1, got 2"):
        own.observe(images(2))
    with pytest.raises(TypeError, match="expected a batch of dtype float32, got float64"):
        own.observe(images(1).astype(np.float64))
    with pytest.raises(TypeError, match="expected a numpy array, got list"):
        own.observe(images(1).tolist())
    network.close()
    with pytest.raises(RuntimeError, match="after close"):
        own.observe(images(1))
    with pytest.raises(RuntimeError, match="after close"):
        network.buffered(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DYNAMIC, "expected outputs of one shape for a buffer, got a graph that leaves it open"),
        ({"batch": 4}, "expected buffers for 4 frames, got 1"),
        ({"size": "s"}, "expected (known input sizes|outputs of one shape)"),
    ],
)
def test_arrays_of_ones_own_are_refused_where_a_frame_could_need_others(model, options, message):
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
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 3, 8, 8))],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("size", [1, 3])
def test_taps_and_scores_of_which_the_graph_loses_sight_are_buffered(images, size):
    taps = ("t:unit", "t:channel", "t:grid3", "t:pixel", "t:pixel2", "h:unit", "h:channel-max", "h:head")
    network = OnnxNetwork(reshaped(), taps=taps, exact=True, layouts={"t": "NLC"})
    own = network.buffered(size)
    for seed in range(2):
        found, expected = own.observe(images(size, SHAPE, seed)), network.observe(images(size, SHAPE, seed))
        np.testing.assert_array_equal(found.output, expected.output)
        for one, other in zip(found.activations, expected.activations, strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_output_that_is_not_read_is_asked_for_its_shape():
    network = OnnxNetwork(reshaped(unread=True), taps="t", scores_output="y", layouts={"t": "NLC"})
    with pytest.raises(ValueError, match="expected outputs of one shape for a buffer, got a graph that leaves it open"):
        network.buffered(1)


def test_an_output_of_what_is_found_is_not_bound_whatever_shape_the_file_declares(chain):
    nodes = [("Relu", "x", "r", {}), ("NonZero", "r", "z", {}), ("Transpose", "z", "y", {})]
    made = onnx.load_from_string(chain(*nodes))
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", onnx.TensorProto.INT64, ("n", 2)))
    network = OnnxNetwork(made.SerializeToString(), taps="r")
    with pytest.raises(ValueError, match="expected outputs of one shape for a buffer"):
        network.buffered(1)


def test_a_tap_whose_shape_changes_with_the_frame_is_an_error_where_it_changes(images):
    network = OnnxNetwork(reshaped(cut=True), taps="cut:pixel", exact=True, layouts={"cut": "NLC"})
    own = network.buffered(1)
    frame = np.abs(images(1, SHAPE))
    np.testing.assert_array_equal(own.observe(frame).activations[0], network.observe(frame).activations[0])
    with pytest.raises(Exception, match="shape"):
        own.observe(images(1, SHAPE))
    np.testing.assert_array_equal(own.observe(frame).activations[0], network.observe(frame).activations[0])


@pytest.mark.parametrize("side", [8, 480], ids=["copied", "lent"])
def test_several_inputs_are_bound(camera_and_state, pairs, side):
    network = OnnxNetwork(camera_and_state(size=side), taps="r:channel")
    own = network.buffered(1)
    for seed in range(3):
        camera, state = pairs(1, seed, side)
        expected = network.observe((camera, state))
        scattered = np.ascontiguousarray(camera.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        for batch in ((camera, state), {"state": state, "camera": camera}, (scattered, state[:, ::-1][:, ::-1])):
            found = own.observe(batch)
            assert found is own.seen
            np.testing.assert_array_equal(found.output, expected.output)
            for one, other in zip(found.activations, expected.activations, strict=True):
                np.testing.assert_array_equal(one, other)


def test_several_inputs_of_another_form_are_refused(camera_and_state, pairs):
    network = OnnxNetwork(camera_and_state(), taps="r:channel")
    own = network.buffered(2)
    camera, state = pairs(2)
    with pytest.raises(TypeError, match="input 'state': expected a batch of dtype float64, got float32"):
        own.observe((camera, state.astype(np.float32)))
    with pytest.raises(ValueError, match="expected a batch of 2, got 1"):
        own.observe((camera[:1], state[:1]))
    with pytest.raises(ValueError, match="expected as many frames of every input, got camera 1, state 2"):
        own.observe((camera[:1], state))
    network.close()
    with pytest.raises(RuntimeError, match="after close"):
        own.observe((camera, state))
    with pytest.raises(ValueError, match=r"for buffers, got \(3, None, None\) of input 'camera'; say input_shape="):
        OnnxNetwork(camera_and_state(size="s"), taps="r:channel", buffers=1)


@pytest.mark.parametrize("side", [9, 400], ids=["copied", "lent"])
def test_frames_of_a_graph_without_a_batch_axis_are_bound(graph, images, side):
    nodes = [
        ("Tanh", "x", "t", {}),
        ("ReduceMean", "t", "m", {"axes": [1, 2], "keepdims": 0}),
        ("Softmax", "m", "y", {}),
    ]
    data = graph(nodes, {"x": (np.float32, (3, side, side))}, {"y": (3,)})
    network = OnnxNetwork(data, taps=("t:channel", "t:unit", "m"), batch_axis=False)
    own = network.buffered(1)
    for seed in range(2):
        frame = images(1, (3, side, side), seed)
        found, expected = own.observe(frame), network.observe(frame)
        assert found.output.shape == (3,)
        np.testing.assert_array_equal(found.output, expected.output)
        np.testing.assert_array_equal(found.logits, expected.output[None])
        for one, other in zip(found.activations, expected.activations, strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="expected buffers for 1 frames, got 2"):
        network.buffered(2)
