from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from outrider.networks import Tap  # noqa: E402

from .models import pooled  # noqa: E402


def test_means_of_codes_are_exact():
    values = np.full((1, 3, 224, 224), 255, np.uint8)
    values[0, 1, ::2] = 254
    tap = Tap("t", "relu", (3, 224, 224), "NCHW", "uint8", "channel")
    np.testing.assert_array_equal(pooled(tap, values, values.shape), np.float32([[255, 254.5, 255]]))
