"""What is read and written of ONNX files through protobuf alone, against the package onnx and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as arrays  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks.onnx.proto import DTYPES, Fragment, array_of, parse_model  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT
NUMBERS = st.sampled_from(sorted(DTYPES.values())).map(np.dtype)


def model(ir_version=8):
    """Bytes of y = Relu(x), (n, 4)."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", FLOAT, ("n", 4))],
        [helper.make_tensor_value_info("y", FLOAT, ("n", 4))],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()


def session(data):
    return ort.InferenceSession(data, providers=["CPUExecutionProvider"])


@given(NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0))))
def test_constants_are_those_that_onnx_reads(values):
    fragment = Fragment("p_", 17)
    name = fragment.constant(values)
    (tensor,) = onnx.load_from_string(fragment.to_bytes()).graph.initializer
    assert tensor.name == name
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), values)
    assert numpy_helper.to_array(tensor).dtype == values.dtype


@given(
    NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, 3, elements={"allow_nan": False} if dtype.kind == "f" else None))
)
def test_constants_are_read_in_both_of_their_spellings(values):
    typed = helper.make_tensor("t", helper.np_dtype_to_tensor_dtype(values.dtype), [3], values.tolist())
    for tensor in (numpy_helper.from_array(values, "t"), typed):
        data = model() + onnx.ModelProto(graph=onnx.GraphProto(initializer=[tensor])).SerializeToString()
        found = array_of(parse_model(data).graph.initializer[0])
        np.testing.assert_array_equal(found, numpy_helper.to_array(tensor))
        assert found.dtype == values.dtype


def test_values_in_another_file_are_not_read():
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "t")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    data = model() + onnx.ModelProto(graph=onnx.GraphProto(initializer=[tensor])).SerializeToString()
    assert array_of(parse_model(data).graph.initializer[0]) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (0.5, 0.5), ("valid", b"valid"), ((1, 2), [1, 2]), ([0.5, 1.0], [0.5, 1.0]), (True, 1)],
)
def test_attributes_are_those_that_onnx_reads(value, expected):
    fragment = Fragment("p_", 17)
    fragment.node("Anything", "x", domain="some.domain", key=value)
    (node,) = onnx.load_from_string(fragment.to_bytes()).graph.node
    assert helper.get_attribute_value(node.attribute[0]) == expected
    assert (node.op_type, node.domain, list(node.input)) == ("Anything", "some.domain", ["x"])


def test_an_array_is_an_attribute():
    fragment = Fragment("p_", 17)
    fragment.node("Constant", value=np.float32([1, 2]))
    (node,) = onnx.load_from_string(fragment.to_bytes()).graph.node
    np.testing.assert_array_equal(numpy_helper.to_array(node.attribute[0].t), np.float32([1, 2]))


def test_small_constants_that_are_equal_are_one():
    fragment = Fragment("p_", 17)
    assert fragment.constant(1, np.float32) == fragment.constant(1, np.float32)
    assert fragment.constant(1, np.float32) != fragment.constant(1, np.int64)
    assert fragment.constant(1, np.float32) != fragment.constant([1], np.float32)
    assert fragment.constant(0.0, np.float32) != fragment.constant(-0.0, np.float32)


def test_outputs_that_nobody_reads_have_names_of_their_own():
    fragment = Fragment("p_", 17)
    found = [fragment.node("TopK", "y", fragment.constant([k], np.int64), unread=1) for k in (2, 3)]
    for name in found:
        fragment.output(name, "float32", ("n", "k"))
    _, two, three = session(model() + fragment.to_bytes()).run(None, {"x": np.float32([[3, 1, 4, 2]])})
    assert (two.tolist(), three.tolist()) == ([[4, 3]], [[4, 3, 2]])


def test_what_is_written_behind_a_model_runs_and_its_default_can_be_overridden():
    fragment = Fragment("p_", 17)
    threshold = fragment.default("threshold", np.float32([0.5]))
    total = fragment.node("ReduceSum", "y", fragment.constant([1], np.int64), keepdims=0)
    fragment.node("Greater", total, threshold, output="alarm")
    fragment.output("alarm", "bool", ("n",))
    fragment.metadata("who", "we")
    data = model() + fragment.to_bytes()
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    running = session(data)
    assert [value.name for value in running.get_inputs()] == ["x"]
    assert [value.name for value in running.get_overridable_initializers()] == ["threshold"]
    assert running.get_modelmeta().custom_metadata_map == {"who": "we"}
    x = np.float32([[1, -1, 0, 0], [0.1, 0.1, 0.1, 0.1]])
    assert running.run(["alarm"], {"x": x})[0].tolist() == [True, False]
    assert running.run(["alarm"], {"x": x, "threshold": np.float32([0.3])})[0].tolist() == [True, True]


@pytest.mark.parametrize("opset", [9, 11, 17, 24])
def test_a_loop_goes_round_while_its_condition_holds_and_reads_what_stands_before_it(opset):
    """Each number is doubled until the largest is 100 or more."""
    fragment = Fragment("p_", opset)
    two, enough = fragment.constant(np.float32(2)), fragment.constant(np.float32(100))
    factor = fragment.node("Mul", two, fragment.constant(np.float32(1)))

    def too_small(name):
        return fragment.node("Less", fragment.node("ReduceMax", name, keepdims=0), enough)

    def step(before):
        after = fragment.node("Mul", before, factor)
        return after, too_small(after)

    found = fragment.loop("y", "float32", too_small("y"), step)
    fragment.output(fragment.node("Add", found, fragment.constant(np.float32(0.5))), "float32", ("n", 4))
    data = model() + fragment.to_bytes()
    made = onnx.load_from_string(data)
    made.opset_import[0].version = opset
    onnx.checker.check_model(made, full_check=True)
    running = session(made.SerializeToString())
    for start, doubled in ((3.0, 192.5), (150.0, 150.5)):
        x = np.float32([[start, 0, 1, 2]])
        expected = np.float32([[doubled, 0.5, (doubled - 0.5) / start + 0.5, 2 * (doubled - 0.5) / start + 0.5]])
        np.testing.assert_array_equal(running.run(None, {"x": x})[1], expected)


def test_fields_that_are_not_declared_are_kept():
    before = onnx.load_from_string(model())
    before.doc_string, before.graph.doc_string, before.training_info.add().update_binding.add(key="k", value="v")
    before.doc_string = before.graph.doc_string = before.graph.node[0].doc_string = "kept"
    again = parse_model(before.SerializeToString()).SerializeToString()
    assert onnx.load_from_string(again) == before
