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
    network = OnnxNetwork(data, taps="a:channel")
    batch = images(3, (3, 4))
    np.testing.assert_array_equal(network.observe(batch).output, np.maximum(batch, 0).max(1))


def test_the_dtype_of_the_input_is_that_of_the_model(model, run_bare):
    network = OnnxNetwork(model(dtype=np.uint8))
    batch = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), np.uint8)
    np.testing.assert_array_equal(network.observe(batch).output, run_bare(model(dtype=np.uint8), batch)[0])
    with pytest.raises(TypeError, match="expected a batch of dtype uint8, got float32"):
        network.observe(batch.astype(np.float32))


def test_two_inputs_are_refused(chain):
    made = onnx.load_from_string(chain(("Add", "x z", "a", {}), ("Relu", "a", "y", {})))
    made.graph.input.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ("n", 4)))
    with pytest.raises(ValueError, match="expected a model with one input, got x, z"):
        OnnxNetwork(made.SerializeToString())


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
        (("Not", "x", "y", {}), {"dtype": bool}, r"expected input 'x' to be a tensor of numbers, got tensor\(bool\)"),
    ],
)
def test_models_that_cannot_be_run_on_batches_are_refused(chain, node, options, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(chain(node, **options))
