"""Tensors as neurons, held to the same in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from outrider.networks import TorchNetwork  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402
from outrider.networks.pytorch.neurons import as_arrays, reader  # noqa: E402
from outrider.networks.tap import Tap  # noqa: E402

from .modules import SHAPE, images  # noqa: E402

SHAPES = {
    "NC": (5,), "NLC": (4, 3), "NCL": (3, 4), "NCHW": (2, 4, 5), "NHWC": (4, 5, 2), "NCDHW": (2, 3, 4, 5),
    "NDHWC": (3, 4, 5, 2), "NHLC": (2, 4, 3), "NLHC": (4, 2, 3),
}  # fmt: skip
WAYS = {
    (layout, neurons)
    for layout in SHAPES
    for neurons in (
        "unit",
        "channel",
        "channel-max",
        "grid1",
        "grid2",
        "grid3",
        "sample1",
        "sample3",
        "pixel",
        "pixel2",
        "pixel4",
        "head",
    )
    if (layout in ("NHLC", "NLHC") and neurons in ("unit", "channel", "channel-max", "head"))
    or (layout == "NC" and neurons == "unit")
    or (layout not in ("NC", "NHLC", "NLHC") and neurons != "head")
}


@pytest.mark.parametrize(("layout", "neurons"), sorted(WAYS))
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_neurons_are_those_of_numpy(layout, neurons, dtype):
    tap = Tap("t", "relu", SHAPES[layout], layout, dtype, neurons)
    values = np.random.default_rng(0).normal(size=(3, *SHAPES[layout])).astype(dtype)
    found = as_arrays([reader(tap, False)(torch.from_numpy(values))])[0]
    expected = reduce_to_neurons(tap, values)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=80, deadline=None)
@given(
    layout=st.sampled_from(["NCHW", "NHWC", "NCL", "NLC", "NCDHW", "NDHWC"]),
    sizes=st.lists(st.integers(1, 13), min_size=3, max_size=3),
    channels=st.integers(1, 9),
    window=st.integers(2, 13),
    broken=st.sampled_from([0.0, np.nan, np.inf, -np.inf, 3e38]),
    seed=st.integers(0, 99),
)
def test_windows_of_any_size_are_those_of_numpy(layout, sizes, channels, window, broken, seed):
    sizes = sizes[: {4: 2, 3: 1, 5: 3}[len(layout)]]
    sizes[-1] = max(sizes[-1], window)
    shape = (channels, *sizes) if layout in ("NCHW", "NCL", "NCDHW") else (*sizes, channels)
    tap = Tap("t", "relu", shape, layout, "float32", f"pixel{window}")
    values = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)
    values.reshape(-1)[seed % values.size] = broken
    found = as_arrays([reader(tap, False)(torch.from_numpy(values))])[0]
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, reduce_to_neurons(tap, values), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("neurons", ["unit", "pixel", "pixel2", "channel"])
def test_what_is_overwritten_later_is_kept(neurons):
    tap = Tap("t", "relu", (2, 3, 3), "NCHW", "float32", neurons)
    value = torch.rand(2, 2, 3, 3)
    expected = reader(tap, False)(value).clone()
    found = reader(tap, True)(value)
    value.mul_(0)
    assert torch.equal(found, expected)


def test_arrays_of_several_shapes_keep_their_values():
    values = [torch.rand(2, 3), torch.rand(4, 1).double(), torch.rand(3, 2).T, torch.rand(2, 2).bfloat16()]
    for found, value in zip(as_arrays(values), values, strict=True):
        assert (found.shape, found.dtype) == (tuple(value.shape), np.float32)
        np.testing.assert_array_equal(found, value.float())


def test_values_of_an_accelerator_cross_together():
    if not torch.cuda.is_available():
        pytest.skip("no accelerator here")
    values = [torch.rand(2, 3, device="cuda"), torch.rand(4, 1, device="cuda").half()]
    for found, value in zip(as_arrays(values), values, strict=True):
        np.testing.assert_array_equal(found, value.float().cpu())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("fused", [False, True])
def test_codes_are_read_as_the_numbers_that_they_stand_for(fused):
    quantization = torch.ao.quantization
    module = torch.nn.Sequential(
        quantization.QuantStub(), torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), quantization.DeQuantStub()
    ).eval()
    module.qconfig = quantization.default_qconfig
    if fused:
        quantization.fuse_modules(module, [["1", "2"]], inplace=True)
    module = quantization.prepare(module)
    batch = images(2)
    module(torch.from_numpy(batch))
    module = quantization.convert(module).eval()
    network = TorchNetwork(module, SHAPE, neurons=("unit", "channel"), classes=None)
    assert [(tap.name, tap.kind, tap.dtype) for tap in network.taps] == 3 * [("12"[not fused], "relu", "float32")]
    seen = network.observe(batch)
    with torch.no_grad():
        expected = module(torch.from_numpy(batch))
    assert torch.equal(seen.output, expected)
    np.testing.assert_array_equal(seen.activations[0], expected.flatten(1))
    np.testing.assert_allclose(seen.activations[1], expected.mean((2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(seen.activations[2], expected.amax((2, 3)))
