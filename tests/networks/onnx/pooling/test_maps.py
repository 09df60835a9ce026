from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from outrider.networks import Tap  # noqa: E402

from .models import check, convolved, samples  # noqa: E402


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
