"""The trial run: which inputs a model takes, which sizes it leaves open."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402


def test_a_shape_that_does_not_fit_is_refused(model):
    for shape in ((3, 16), (1, 16, 16)):
        with pytest.raises(ValueError, match=r"expected input_shape to fit input 'x' of shape .*, got"):
            OnnxNetwork(model(size="h"), input_shape=shape)
    with pytest.raises(ValueError, match=r"to fit input 'x' of shape \('n', 3, 16, 16\), got \(3, 8, 8\)"):
        OnnxNetwork(model(), input_shape=(3, 8, 8))


def test_sizes_that_are_tried_are_named_where_none_fits(chain):
    fixed = [("s", np.array([0, 17 * 17], np.int64))]
    nodes = [("Reshape", "x s", "r", {}), ("Relu", "r", "a", {}), ("Neg", "a", "y", {})]
    data = chain(*nodes, shape=("n", "h", "w"), constants=fixed)
    with pytest.raises(ValueError, match=r"(?s)expected input 'x' to run at a size among 64, .*; say input_shape="):
        OnnxNetwork(data)
    assert OnnxNetwork(data, input_shape=(17, 17)).taps[0].shape == (289,)


def test_a_batch_that_only_seems_open_is_taken_as_the_one_it_runs_with(chain, images):
    data = chain(
        ("Reshape", "x s", "r", {}), ("Relu", "r", "a", {}), ("ReduceMax", "a", "y", {"axes": [1], "keepdims": 0}),
        shape=("n", 3, 4), constants=[("s", np.array([1, 3, 4], np.int64))],
    )  # fmt: skip
    network = OnnxNetwork(data, taps="a:channel", layouts={"a": "NLC"})
    batch = images(3, (3, 4))
    np.testing.assert_array_equal(network.observe(batch).output, np.maximum(batch, 0).max(1))


def test_the_dtype_of_the_input_is_that_of_the_model(model, run_bare):
    network = OnnxNetwork(model(dtype=np.uint8))
    batch = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), np.uint8)
    np.testing.assert_array_equal(network.observe(batch).output, run_bare(model(dtype=np.uint8), batch)[0])
    with pytest.raises(TypeError, match="expected a batch of dtype uint8, got float32"):
        network.observe(batch.astype(np.float32))


def test_sizes_of_several_inputs_are_tried_together(graph):
    """The second is added to the means of the columns of the first: they are as wide."""
    nodes = [("Relu", "x", "a", {}), ("ReduceMean", "a", "m", {"axes": [1, 2], "keepdims": 0}),
             ("Squeeze", "z axis", "v", {}), ("Add", "m v", "y", {})]  # fmt: skip
    inputs = {"x": (np.float32, ("n", 3, "h", "w")), "z": (np.float32, ("n", "w", 1))}
    data = graph(nodes, inputs, {"y": ("n", "w")}, {"axis": np.array([2])})
    network = OnnxNetwork(data, taps="a:channel")
    assert [one.shape for one in network.inputs] == [(3, None, None), (None, 1)]
    assert [one.shape for one in OnnxNetwork(data, taps="a:channel", input_shape={"z": (64, 1)}).inputs] == [
        (3, None, 64), (64, 1)
    ]  # fmt: skip


def runs_of(network, frames):
    """What a network returns for each frame on its own, without the batch axis where there is one."""
    return [network.unbatched(network.run(frames[i : i + 1])) for i in range(len(frames))]


def detector(graph, batch, boxes, limit):
    """Boxes (found, 4) that NonMaxSuppression leaves of three; the frame (3, 8, 8) tells their scores."""
    corners = np.float32([[0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10]])
    nodes = [
        ("Relu", "x", "r", {}),
        ("ReduceMean", "x", "m", {"axes": [2, 3], "keepdims": 0}),
        ("Unsqueeze", "m one", "scores", {}),
        ("Shape", "x", "shape", {}),
        ("Gather", "shape first", "n", {}),
        ("Concat", "n rest", "sizes", {"axis": 0}),
        ("Expand", "all sizes", "boxes", {}),
        ("NonMaxSuppression", "boxes scores three iou limit", "chosen", {}),
        ("Gather", "chosen two", "places", {"axis": 1}),
        ("Gather", "corners places", "y", {"axis": 0}),
    ]
    constants = {
        "one": np.array([1]), "first": np.array([0]), "rest": np.array([3, 4]), "all": corners[None],
        "three": np.array([3]), "iou": np.float32([0.5]), "limit": np.float32([limit]), "two": np.array(2),
        "corners": corners,
    }  # fmt: skip
    return graph(nodes, {"x": (np.float32, (batch, 3, 8, 8))}, {"y": boxes}, constants)


def frames_with(*boxes):
    """Frames in which these boxes are found."""
    frames = np.zeros((len(boxes), 3, 8, 8), np.float32)
    for frame, found in zip(frames, boxes, strict=True):
        frame[list(found)] = 9
    return frames


@pytest.mark.parametrize("limit", [0.5, -0.5], ids=["none in zeros", "all in zeros"])
@pytest.mark.parametrize("declared", [("found", 4), None], ids=["declared", "untold"])
@pytest.mark.parametrize("batch", [1, "n"])
def test_one_thing_found_is_no_batch_of_one(graph, run_alone, batch, declared, limit):
    data = detector(graph, batch, declared, limit)
    network = OnnxNetwork(data, taps="r:channel")
    frames = frames_with([1], [0, 2], [0], []) - np.float32(limit < 0)
    expected = [run_alone(data, x=frames[i : i + 1])[0] for i in range(4)]
    assert [value.shape for value in expected] == [(1, 4), (2, 4), (1, 4), (0, 4)]
    assert network.classes is None
    for found, wanted in zip(runs_of(network, frames), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    if batch == 1:
        several = network.run(frames)
        assert isinstance(several, list)
        assert [value.shape for value in several] == [(1, 4), (2, 4), (1, 4), (0, 4)]
        seen = network.observe(frames)
        np.testing.assert_allclose(seen.activations[0], np.maximum(frames, 0).mean((2, 3)), rtol=1e-6)
        assert [value.shape for value in seen.output] == [(1, 4), (2, 4), (1, 4), (0, 4)]


@pytest.mark.parametrize("batch", [1, 2, "n"])
def test_outputs_that_follow_the_batch_lose_it_and_others_do_not(graph, batch):
    """One best row over all frames, one number over all, and scores a frame."""
    nodes = [("Relu", "x", "r", {}), ("ReduceMax", "r", "best", {"axes": [0], "keepdims": 1}),
             ("ReduceSum", "r", "sum", {"keepdims": 0}), ("Neg", "r", "y", {})]  # fmt: skip
    data = graph(nodes, {"x": (np.float32, (batch, 5))}, {"best": ("one", 5), "sum": (), "y": (batch, 5)})
    network = OnnxNetwork(data, taps="r", classes=None)
    batch = np.ones((batch if batch == 2 else 1, 5), np.float32)
    shapes = [np.shape(value) for value in network.unbatched(network.run(batch))]
    assert shapes == [(1, 5), (), (2, 5) if len(batch) == 2 else (5,)]


def test_a_fixed_batch_of_one_keeps_the_frame_where_the_file_says_nothing(graph):
    data = graph([("Relu", "x", "r", {}), ("Reshape", "r shape", "y", {})], {"x": (np.float32, (1, 2, 3))}, {"y": None},
                 {"shape": np.array([-1, 6])})  # fmt: skip
    network = OnnxNetwork(data, taps="r:unit", layouts={"r": "NLC"})
    assert network.classes == 6
    assert network.unbatched(network.run(np.ones((1, 2, 3), np.float32))).shape == (6,)


def test_a_mask_of_bools_is_an_input_as_any(chain):
    network = OnnxNetwork(chain(("Cast", "x", "f", {"to": 1}), ("Relu", "f", "y", {}), dtype=bool), taps="y")
    mask = np.array([[True, False, True, True]])
    assert network.dtype == "bool"
    np.testing.assert_array_equal(network.buffered(1).observe(mask).output, mask.astype(np.float32))
    with pytest.raises(TypeError, match="expected a batch of dtype bool, got uint8"):
        network.run(mask.astype(np.uint8))


def test_initializers_among_the_inputs_are_no_inputs(model, images):
    made = onnx.load_from_string(model())
    made.graph.input.append(helper.make_tensor_value_info("b4", onnx.TensorProto.FLOAT, (10,)))
    assert OnnxNetwork(made.SerializeToString()).observe(images()).output.shape == (3, 10)


@pytest.mark.parametrize(
    ("node", "options", "message"),
    [
        (
            ("Reshape", "x s", "y", {}),
            {"constants": [("s", np.array([3, 5]))]},
            r"an input of shape \(2, 4\), got",
        ),
        (("Relu", "x", "y", {}), {"shape": ("n",)}, r"expected input 'x' of shape \(batch, \.\.\.\), got \('n',\)"),
        (
            ("Identity", "x", "y", {}),
            {"dtype": object},
            r"expected input 'x' to be a tensor of numbers or bools, got tensor\(string\)",
        ),
    ],
)
def test_models_that_cannot_be_run_on_batches_are_refused(chain, node, options, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(chain(node, **options))
