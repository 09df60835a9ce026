from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from outrider.networks import Tap  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402

from .models import SHAPES, pooled, samples  # noqa: E402


@pytest.mark.parametrize(("layout", "shape"), [("NHLC", (4, 7, 3)), ("NLHC", (2, 7, 6))])
@pytest.mark.parametrize("neurons", ["unit", "channel", "channel-max", "head"])
def test_heads_may_share_an_axis_with_the_batch_or_the_channels(layout, shape, neurons):
    values = samples("float32", shape[1:], shape[0])
    tap = Tap("t", "attention", SHAPES[layout], layout, "float32", neurons)
    found = pooled(tap, values, shape)
    whole = (2, 2, 7, 3) if layout == "NHLC" else (2, 7, 2, 3)
    np.testing.assert_allclose(found, reduce_to_neurons(tap, values), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, reduce_to_neurons(tap, values.reshape(whole)), rtol=1e-5, atol=1e-6)
