"""Where taps change how ONNX Runtime rounds to half precision."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from outrider.networks import NetworkWarning, OnnxNetwork, Tap  # noqa: E402
from outrider.networks.onnx.half_precision import may_round, warn_of_rounding  # noqa: E402


def test_half_precision_is_read_in_float32(chain, images):
    data = chain(("Relu", "x", "r", {}), ("Neg", "r", "y", {}), shape=("n", 2, 4, 4), dtype=np.float16)
    network = OnnxNetwork(data, neurons=("channel", "unit", "grid2"), taps="auto")
    batch = images(2, (2, 4, 4)).astype(np.float16)
    channel, unit, grid = network.observe(batch).activations
    relu = np.maximum(batch, 0).astype(np.float32)
    assert {tap.dtype for tap in network.taps} == {"float16"}
    np.testing.assert_allclose(channel, relu.mean((2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(unit, relu.reshape(2, -1))
    np.testing.assert_allclose(grid, relu.reshape(2, 2, 2, 2, 2, 2).mean((3, 5)).reshape(2, -1), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "dtype", "expected"),
    [
        ("conv", "float16", True),
        ("conv", "float32", False),
        ("relu", "float16", False),
        ("sigmoid", "float16", False),
        ("output", "float16", False),
    ],
)
def test_only_what_is_not_rounded_anyway_may_be_rounded_for_a_tap(kind, dtype, expected):
    assert may_round(Tap("t", kind, (4,), "NC", dtype, "unit")) is expected


@pytest.mark.parametrize("off", [0, 1])
def test_outputs_that_differ_are_told_with_the_taps(off):
    """Sessions are what they return here; one NaN is equal to another."""
    runtime = SimpleNamespace(run=lambda session, names, feeds: session)
    trial = SimpleNamespace(noise=dict)
    bare, tapped = [np.array([np.nan, 1])], [np.array([np.nan, 1 + off])]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_rounding(runtime, bare, tapped, trial, ["y"], ["c1", "c2"])
    assert [said.category for said in caught] == [NetworkWarning] * off
    assert all("rounds elsewhere for taps on 'c1', 'c2'; tap activations" in str(said.message) for said in caught)
