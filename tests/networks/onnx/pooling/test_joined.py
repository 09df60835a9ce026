"""Neurons computed inside the graph, against `reduce_to_neurons`, which the tests of taps hold to plain loops."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import Tap  # noqa: E402
from outrider.networks.onnx.pooling import join_neurons, rows_alike  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

from .models import SHAPES, check, model, pooled, run, samples  # noqa: E402

MAPS = [
    (layout, neurons)
    for layout in ("NLC", "NCL", "NCHW", "NHWC", "NCDHW", "NDHWC")
    for neurons in (
        "unit",
        "channel",
        "channel-max",
        "grid1",
        "grid2",
        "grid3",
        "grid4",
        "sample1",
        "sample3",
        "sample6",
    )
]
HEADS = [(layout, neurons) for layout in ("NHLC", "NLHC") for neurons in ("unit", "channel", "channel-max", "head")]
OPSET_FORMS = ("channel", "channel-max", "grid3", "grid4", "sample4")
FORMS = [("NC", "unit"), *MAPS, *HEADS]


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize(("layout", "neurons"), FORMS)
def test_neurons_equal_those_computed_outside(layout, neurons, dtype):
    shape = SHAPES[layout]
    values = samples(dtype, shape)
    tap = Tap("t", "relu", shape, layout, dtype, neurons)
    check(pooled(tap, values, (2, *shape)), tap, values)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(
    ("layout", "neurons"), [form for form in FORMS[1:] if form[1] != "unit" and "sample" not in form[1]]
)
def test_sizes_may_be_left_open(layout, neurons, dtype, n):
    """All but the number of channels (and heads)."""
    shape = SHAPES[layout]
    last = len(shape) - 1
    known = {"NLC": (last,), "NHWC": (last,), "NDHWC": (last,), "NHLC": (0, 2), "NLHC": (1, 2)}.get(layout, (0,))
    open_shape = tuple(size if axis in known else None for axis, size in enumerate(shape))
    declared = ("n", *(size or f"s{axis}" for axis, size in enumerate(open_shape)))
    values = samples(dtype, shape, n)
    tap = Tap("t", "relu", open_shape, layout, dtype, neurons)
    check(pooled(tap, values, declared), tap, values)


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 17, 18, 20, 21, 23, 24])
@pytest.mark.parametrize(("layout", "neurons"), [form for form in FORMS if form[1] in (*OPSET_FORMS, "head")])
def test_every_opset_has_a_form(opset, layout, neurons):
    shape = SHAPES[layout]
    length = {"NCHW": 2, "NLC": 0, "NLHC": 0}.get(layout, 1)
    for dtype in ("float32", "uint8") if opset >= 10 else ("float32",):  # quantised operators came with opset 10
        for opened in (None, length) if "sample" not in neurons else (None,):
            said = tuple(None if axis == opened else size for axis, size in enumerate(shape))
            tap = Tap("t", "relu", said, layout, dtype, neurons)
            values = samples(dtype, shape)
            declared = ("n", *(size or "s" for size in said))
            check(pooled(tap, values, declared, opset=opset, ir_version=3 if opset < 10 else 8), tap, values)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(("layout", "neurons"), FORMS)
def test_no_rows_give_no_neurons(layout, neurons, dtype):
    shape = SHAPES[layout]
    tap = Tap("t", "relu", shape, layout, dtype, neurons, rows=None)
    found = pooled(tap, samples(dtype, shape, 0), ("n", *shape))
    assert (found.shape, found.dtype) == ((0, tap.size), np.float32)


def test_taps_leave_with_those_of_as_many_rows():
    taps = [Tap(f"t{i}", "relu", (3,), "NC", "float32", "unit", rows=k) for i, k in enumerate([1, 4, None, 1, None, 4])]
    assert [[taps.index(tap) for tap in group] for group in rows_alike(taps)] == [[0, 3], [1, 5], [2], [4]]


def test_taps_of_many_forms_leave_as_one_tensor():
    shape = SHAPES["NCHW"]
    values = samples("float32", shape, 3)
    ways = ["unit", "channel", "grid3", "sample3", "channel-max", "grid2", "sample4", "grid4"]
    taps = [Tap("t", "relu", shape, "NCHW", "float32", neurons) for neurons in ways]
    data = model("float32", ("n", *shape))
    fragment = OnnxGraph(data).fragment()
    name, columns = join_neurons(fragment, taps)
    (found,) = run(data, fragment, [name], values)
    assert sorted(i for column in columns for i in range(*column.indices(found.shape[1]))) == list(
        range(found.shape[1])
    )
    for tap, column in zip(taps, columns, strict=True):
        check(found[:, column], tap, values)


@pytest.mark.parametrize("neurons", ["channel", "channel-max", "grid3", "grid4", "sample4"])
@pytest.mark.parametrize("form", ["maps", "maps, then dense", "large maps", "codes", "tokens"])
def test_each_layer_is_pooled_before_the_next_but_one_is_computed(form, neurons, tmp_path):
    """While it is in the cache: a matter of the order in which nodes are written."""
    rng = np.random.default_rng(0)
    layers, nodes, constants, taps = 6, [], [], []
    shape = {"tokens": (9, 16), "large maps": (16, 48, 48)}.get(form, (16, 9, 9))
    before = "x"
    for i in range(layers):
        weights = rng.normal(size=(16, 16) if form == "tokens" else (16, 16, 3, 3)).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"w{i}"))
        if form == "tokens":
            nodes.append(helper.make_node("MatMul", [before, f"w{i}"], [f"l{i}"], f"layer{i}"))
        else:
            nodes.append(helper.make_node("Conv", [before, f"w{i}"], [f"l{i}"], f"layer{i}", pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"l{i}"], [f"r{i}"], f"relu{i}"))
        before = f"r{i}"
        tap = Tap(before, "relu", shape, "NLC" if form == "tokens" else "NCHW", "float32", neurons)
        if form == "codes":
            nodes.append(helper.make_node("QuantizeLinear", [before, "scale", "zero"], [f"q{i}"], f"quantise{i}"))
            nodes.append(helper.make_node("DequantizeLinear", [f"q{i}", "scale", "zero"], [f"d{i}"], f"floats{i}"))
            before = f"d{i}"
            tap = dataclasses.replace(tap, name=f"q{i}", dtype="uint8")
        taps.append(tap)
    if form == "maps, then dense":  # ONNX Runtime makes hard swish anew, of two nodes
        nodes.append(helper.make_node("GlobalMaxPool", [before], ["p"], "pool"))
        nodes.append(helper.make_node("Flatten", ["p"], ["f"], "flatten"))
        nodes.append(helper.make_node("HardSwish", ["f"], ["h"], "dense"))
        before = "h"
        taps.append(Tap(before, "hardswish", (16,), "NC", "float32", "unit"))
    nodes.append(helper.make_node("Neg", [before], ["y"]))
    constants.append(numpy_helper.from_array(np.float32(0.1), "scale"))
    constants.append(numpy_helper.from_array(np.uint8(0), "zero"))
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, *shape))],
        [helper.make_empty_tensor_value_info("y")],
        constants,
    )
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    fragment = OnnxGraph(data).fragment()
    name, _ = join_neurons(fragment, taps)
    fragment.output(name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "run")
    session = ort.InferenceSession(data + fragment.to_bytes(), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": samples("float32", shape, 1)})
    events = json.loads(Path(session.end_profiling()).read_text())
    events = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    events.sort(key=lambda event: event["ts"])
    computed, pooled_by_then = 0, []
    pools = {"GlobalAveragePool", "GlobalMaxPool", "MaxPool", "NhwcMaxPool", "AveragePool", "MatMulInteger", "MatMul"}
    if neurons.startswith("sample"):
        pools = {"Conv", "Slice"}
    for event in events:
        if "outrider" not in event["name"]:
            computed += event["args"]["op_name"] in ("Conv", "FusedConv", "MatMul", "QLinearConv")
        elif event["args"]["op_name"] in pools:
            pooled_by_then.append(computed)
    assert computed == layers
    steps = 2 if form == "large maps" and neurons == "channel" else 1
    assert len(pooled_by_then) == layers * steps
    assert all(then <= i // steps + 2 for i, then in enumerate(pooled_by_then))


def test_places_are_no_neurons_of_a_frame():
    fragment = OnnxGraph(model("float32", (1, *SHAPES["NCHW"]))).fragment()
    for neurons in ("pixel", "pixel4"):
        tap = Tap("t", "relu", SHAPES["NCHW"], "NCHW", "float32", neurons)
        with pytest.raises(ValueError, match=f"tap 't': expected neurons that are numbers of a frame, got '{neurons}'"):
            join_neurons(fragment, [tap])
