"""The digits' network in PyTorch, and folders of pictures to watch."""

from __future__ import annotations

import numpy as np
import pytest

from .outcomes import save

FACTORY = """
from torch import nn

def digits():
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(384, 10))

def broken():
    raise KeyError("weights")
"""


@pytest.fixture
def module(model, tmp_path):
    """The digits' network in PyTorch: arguments that name its file and its weights."""
    pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from safetensors.numpy import save_file

    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(model).graph.initializer}
    names = {"0.weight": "kernels", "3.weight": "weight", "3.bias": "bias"}
    save_file({name: weights[there].copy() for name, there in names.items()}, tmp_path / "digits.safetensors")
    (tmp_path / "digits.py").write_text(FACTORY)
    return "digits.py:digits", "--weights", "digits.safetensors"


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)


@pytest.fixture
def covered(tmp_path, clean):
    return save(tmp_path / "covered", clean[:10])


@pytest.fixture
def broken(tmp_path, clean, noise):
    """Ten digits, six pictures of noise, ten digits."""
    return save(tmp_path / "broken", [*clean[:10], *noise, *clean[10:20]])
