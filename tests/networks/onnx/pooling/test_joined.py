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

from outrider.networks import OnnxNetwork, Tap  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402
from outrider.networks.onnx.pooling import add_neurons, add_places, join_neurons, rows_alike  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

SHAPES = {
    "NC": (5,),
    "NLC": (7, 5),
    "NCL": (5, 7),
    "NCHW": (5, 6, 9),
    "NHWC": (6, 9, 5),
    "NCDHW": (5, 4, 6, 3),
    "NDHWC": (4, 6, 3, 5),
    "NHLC": (2, 7, 3),
    "NLHC": (7, 2, 3),
}
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


def model(dtype, shape, opset=17, ir_version=8):
    """A model whose one tensor t is its input, and its output too."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["t"]), helper.make_node("Identity", ["t"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_empty_tensor_value_info("y")],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()


def samples(dtype, shape, n=2):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=(n, *shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (n, *shape), dtype, endpoint=True)


def run(data, fragment, names, values):
    for name in names:
        fragment.output(name)
    session = ort.InferenceSession(data + fragment.to_bytes(), providers=["CPUExecutionProvider"])
    return session.run(names, {"x": values})


def pooled(tap, values, declared, **options):
    data = model(values.dtype, declared, **options)
    fragment = OnnxGraph(data).fragment()
    return run(data, fragment, [add_neurons(fragment, tap)], values)[0]


def check(found, tap, values):
    expected = reduce_to_neurons(tap, values)
    assert found.dtype == np.float32
    assert found.shape == (len(values), tap.size)
    np.testing.assert_allclose(found, expected.astype(np.float32), rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize(("layout", "shape"), [("NHLC", (4, 7, 3)), ("NLHC", (2, 7, 6))])
@pytest.mark.parametrize("neurons", ["unit", "channel", "channel-max", "head"])
def test_heads_may_share_an_axis_with_the_batch_or_the_channels(layout, shape, neurons):
    values = samples("float32", shape[1:], shape[0])
    tap = Tap("t", "attention", SHAPES[layout], layout, "float32", neurons)
    found = pooled(tap, values, shape)
    whole = (2, 2, 7, 3) if layout == "NHLC" else (2, 7, 2, 3)
    np.testing.assert_allclose(found, reduce_to_neurons(tap, values), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, reduce_to_neurons(tap, values.reshape(whole)), rtol=1e-5, atol=1e-6)


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


def convolved(values, *, optimised=True):
    """A model of a convolution that gives its input, without the negative values; and its session with a fragment."""
    channels = values.shape[1]
    weights = numpy_helper.from_array(np.eye(channels, dtype=np.float32)[..., None, None], "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["t"]),
         helper.make_node("Conv", ["t", "w"], ["y"])],
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, values.shape)],
        [helper.make_empty_tensor_value_info("y")],
        [weights],
    )  # fmt: skip
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL

    def found(*taps):
        fragment = OnnxGraph(data).fragment()
        name, columns = join_neurons(fragment, taps)
        fragment.output(name)
        session = ort.InferenceSession(data + fragment.to_bytes(), options, providers=["CPUExecutionProvider"])
        (whole,) = session.run([name], {"x": values})
        return [whole[:, column] for column in columns]

    return found


@pytest.mark.parametrize("optimised", [True, False])
@pytest.mark.parametrize("channels", [16, 24, 20, 3, 48])  # that fill blocks of 16, of 8, and none
@pytest.mark.parametrize("size", [(48, 50), (56, 56), (49, 63), (53, 59), (14, 14), (7, 9), (5, 90)])
def test_maps_behind_a_convolution(channels, size, optimised):
    """Of every size and way together, as their forms depend on both."""
    values = samples("float32", (channels, *size), 2) + np.float32(0.5)
    ways = ["channel", "channel-max", "grid2", "grid3", "sample2", "sample4", "sample7", "sample60"]
    taps = [Tap("t", "relu", values.shape[1:], "NCHW", "float32", neurons) for neurons in ways]
    for tap, neurons in zip(taps, convolved(values, optimised=optimised)(*taps), strict=True):
        check(neurons, tap, np.maximum(values, 0))


def test_a_sample_reads_no_other_place():
    """Nothing else comes in, be it no number."""
    values = np.full((1, 24, 30, 41), np.nan, np.float32)
    wanted = np.arange(24 * 16, dtype=np.float32).reshape(24, 4, 4)
    values[0, :, 2:27:8, 3:37:11] = wanted  # 30 / 4 and 41 / 4 apart, rounded up
    tap = Tap("t", "relu", (24, 30, 41), "NCHW", "float32", "sample4")
    np.testing.assert_allclose(convolved(values)(tap)[0][0], wanted.mean((1, 2)), rtol=1e-6)


def test_means_of_codes_are_exact():
    values = np.full((1, 3, 224, 224), 255, np.uint8)
    values[0, 1, ::2] = 254
    tap = Tap("t", "relu", (3, 224, 224), "NCHW", "uint8", "channel")
    np.testing.assert_array_equal(pooled(tap, values, values.shape), np.float32([[255, 254.5, 255]]))


def test_places_are_no_neurons_of_a_frame():
    fragment = OnnxGraph(model("float32", (1, *SHAPES["NCHW"]))).fragment()
    for neurons in ("pixel", "pixel4"):
        tap = Tap("t", "relu", SHAPES["NCHW"], "NCHW", "float32", neurons)
        with pytest.raises(ValueError, match=f"tap 't': expected neurons that are numbers of a frame, got '{neurons}'"):
            join_neurons(fragment, [tap])


PLACES = [
    (layout, neurons)
    for layout in ("NLC", "NCL", "NCHW", "NHWC", "NCDHW", "NDHWC")
    for neurons in ("pixel", "pixel2", "pixel4", "pixel6")
]


def places(tap, values, declared, **options):
    """The places of a tap from the graph, and the tap that they are read with."""
    data = model(values.dtype, declared, **options)
    fragment = OnnxGraph(data).fragment()
    there = add_places(fragment, tap)
    assert there.neurons == "pixel"
    assert there.layout in ("NLC", "NHWC", "NDHWC")
    return there, run(data, fragment, [there.name], values)[0]


def check_places(tap, values, declared, **options):
    there, found = places(tap, values, declared, **options)
    assert found.shape[1:] == tuple(size or own for size, own in zip(there.shape, found.shape[1:], strict=True))
    expected = reduce_to_neurons(tap, values)
    np.testing.assert_allclose(reduce_to_neurons(there, found), expected, rtol=1e-5, atol=1e-5)
    data = model(values.dtype, declared, **options)
    fragment = OnnxGraph(data).fragment()
    rows = run(data, fragment, [add_neurons(fragment, tap)], values)[0]
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)
    if tap.neurons == "pixel":
        np.testing.assert_array_equal(reduce_to_neurons(there, found), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize(("layout", "neurons"), PLACES)
def test_places_equal_those_computed_outside(layout, neurons, dtype):
    shape = SHAPES[layout]
    values = samples(dtype, shape)
    check_places(Tap("t", "relu", shape, layout, dtype, neurons), values, (2, *shape))


@pytest.mark.parametrize("opset", [9, 10, 17, 24])
@pytest.mark.parametrize(("layout", "neurons"), PLACES)
def test_places_of_any_operator_set_and_of_open_sizes(layout, neurons, opset):
    shape = SHAPES[layout]
    values = samples("float32", shape, 3)
    options = {"opset": opset, "ir_version": 3 if opset < 10 else 8}
    check_places(Tap("t", "relu", shape, layout, "float32", neurons), values, ("n", *shape), **options)
    channels = 0 if layout in ("NCL", "NCHW", "NCDHW") else len(shape) - 1
    said = tuple(size if axis == channels else None for axis, size in enumerate(shape))
    tap = Tap("t", "relu", said, layout, "float32", neurons)
    declared = ("n", *(size or f"s{axis}" for axis, size in enumerate(said)))
    if opset == 9 and neurons != "pixel":
        fragment = OnnxGraph(model("float32", declared, **options)).fragment()
        assert add_places(fragment, tap) is None
        with pytest.raises(ValueError, match="fix the input shape, or take operator set 10"):
            add_neurons(fragment, tap)
    else:
        check_places(tap, values, declared, **options)


@pytest.mark.parametrize("channels", [6, 16])  # 16 fill blocks of ONNX Runtime's own layout
@pytest.mark.parametrize("neurons", ["pixel", "pixel3", "pixel8"])
def test_places_behind_a_convolution_leave_the_outputs_as_they_are(channels, neurons, chain, run_bare):
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(channels, 3, 3, 3)), "v": rng.normal(size=(4, channels, 1, 1))}
    data = chain(
        ("Conv", "x w", "c", {}), ("Relu", "c", "r", {}), ("Conv", "r v", "y", {}), shape=("n", 3, 12, 21),
        constants=[(name, values.astype(np.float32)) for name, values in weights.items()],
    )  # fmt: skip
    x = rng.normal(size=(2, 3, 12, 21)).astype(np.float32)
    network = OnnxNetwork(data, taps=f"r:{neurons}", classes=None)
    tap = Tap("r", "relu", (channels, 10, 19), "NCHW", "float32", neurons)
    assert network.taps == (tap,)
    seen = network.observe(x)
    np.testing.assert_array_equal(seen.output, run_bare(data, x)[0])
    expected = reduce_to_neurons(tap, run_bare(data, x, ["r"])[0])
    np.testing.assert_allclose(seen.activations[0], expected, rtol=1e-5, atol=1e-6)
    own = network.buffered(2)
    np.testing.assert_array_equal(own.observe(x).activations[0], seen.activations[0])
    assert np.shares_memory(own.seen.activations[0], own.observe(x[::-1].copy()).activations[0])
