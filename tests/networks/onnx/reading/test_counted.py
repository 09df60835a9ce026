"""Tensors whose length depends on what is in a frame."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

from ....rows_models import regions, views  # noqa: E402


def graph_of(*nodes):
    graph = helper.make_graph(
        [helper.make_node(op, inputs.split(), [output], **attributes) for op, inputs, output, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("x", 1, ("n", 4))],
        [helper.make_empty_tensor_value_info("y")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def test_what_is_found_in_the_values_and_all_that_follows():
    assert OnnxGraph(regions()).counted == {"found", "m", "d", "boxes"}
    assert OnnxGraph(views()).counted == set()


def test_a_range_of_numbers_is_not_found_in_the_values():
    ranged = graph_of(
        ("Shape", "x", "s", {}), ("ConstantOfShape", "s", "ones", {}), ("NonZero", "ones", "range", {}),
        ("Cast", "range", "floats", {"to": 1}), ("NonZero", "x", "found", {}), ("Shape", "found", "many", {}),
        ("Reshape", "x many", "r", {}), ("Concat", "x floats", "y", {"axis": 0}),
    )  # fmt: skip
    assert OnnxGraph(ranged).counted == {"found", "many", "r"}


def test_as_many_rows_in_every_trial_do_not_fix_their_number():
    """No cosine of zeros or of the noise is 0: all four values of each frame are found, in these frames."""
    graph = graph_of(
        ("Cos", "x", "c", {}), ("NonZero", "c", "places", {}), ("Transpose", "places", "t", {}),
        ("Cast", "t", "floats", {"to": 1}), ("Relu", "floats", "r", {}), ("Neg", "x", "y", {}),
    )  # fmt: skip
    (tap,) = OnnxNetwork(graph, taps="r", classes=None).taps
    assert tap.rows is None
