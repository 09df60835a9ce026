"""A monitor of a few microseconds, and a guard in which something may be broken."""

from __future__ import annotations

import pytest


@pytest.fixture
def monitor():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from ..small_network import calibrated

    return calibrated()


@pytest.fixture
def scene(tmp_path, monkeypatch):
    from .injection import SOON, Scene

    made = Scene(tmp_path, monkeypatch)
    yield made
    made.log.close(SOON)
