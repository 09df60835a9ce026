from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from outrider.networks import OnnxNetwork, Tap  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402
from outrider.networks.onnx.pooling import add_neurons, add_places  # noqa: E402
from outrider.networks.onnx.reading.graph import OnnxGraph  # noqa: E402

from .models import SHAPES, model, run, samples  # noqa: E402

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
