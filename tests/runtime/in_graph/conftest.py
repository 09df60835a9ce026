"""A model without a monitor."""

from __future__ import annotations

import onnx
import pytest

from .guarding import model


@pytest.fixture
def bare(tmp_path):
    path = tmp_path / "bare.onnx"
    onnx.save(model(), path)
    return path
