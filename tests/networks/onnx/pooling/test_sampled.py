from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from outrider.networks import Tap  # noqa: E402

from .models import convolved  # noqa: E402


def test_a_sample_reads_no_other_place():
    """Nothing else comes in, be it no number."""
    values = np.full((1, 24, 30, 41), np.nan, np.float32)
    wanted = np.arange(24 * 16, dtype=np.float32).reshape(24, 4, 4)
    values[0, :, 2:27:8, 3:37:11] = wanted  # 30 / 4 and 41 / 4 apart, rounded up
    tap = Tap("t", "relu", (24, 30, 41), "NCHW", "float32", "sample4")
    np.testing.assert_allclose(convolved(values)(tap)[0][0], wanted.mean((1, 2)), rtol=1e-6)
