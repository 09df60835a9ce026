"""Where the channels of signals and tokens lie, the same in PyTorch and in what both exporters write."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import torch
from torch import nn

from outrider.networks import NetworkWarning, OnnxNetwork, TorchNetwork

from .modules import Residual

F = nn.functional
SIGNAL, TOKENS = (16, 128), (20, 16)


class Around(nn.Module):
    """Tokens that a convolution takes as a signal."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(16, 24, 3, padding=1)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        return self.head(F.relu(self.conv(x.permute(0, 2, 1)).permute(0, 2, 1)).mean(1))


class Grouped(nn.Module):
    """A group norm, which exporters write in pieces."""

    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(4, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(F.relu(self.norm(x)).mean(2))


class Recurrent(nn.Module):
    """A GRU over tokens."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(16, 12, batch_first=True)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        return self.head(F.relu(self.gru(x)[0])[:, -1])


class Mixer(nn.Module):
    """Layers over the tokens and over the channels."""

    def __init__(self):
        super().__init__()
        self.norm, self.tokens = nn.LayerNorm(16), nn.Linear(20, 20)
        self.channels, self.head = nn.Linear(16, 24), nn.Linear(24, 5)

    def forward(self, x):
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return self.head(F.relu(self.channels(F.relu(x))).mean(1))


class Untold(nn.Module):
    """Nothing tells where the channels lie."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(320, 5)

    def forward(self, x):
        return F.gelu(self.head(F.relu(x - 0.3).flatten(1)))


KINDS = {
    "residual": (lambda: Residual(functional=True), SIGNAL, [16] * 4),
    "residual of modules": (lambda: Residual(functional=False), SIGNAL, [16] * 4),
    "around": (Around, TOKENS, [24]),
    "grouped": (Grouped, SIGNAL, [16]),
    "recurrent": (Recurrent, TOKENS, [12]),
    "mixer": (Mixer, TOKENS, [16, 24]),
}


def made(kind):
    torch.manual_seed(0)
    return kind().eval()


def exported(module, shape, dynamo):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.randn(2, *shape),), file, dynamo=dynamo, input_names=["x"], verbose=False)
    return file.getvalue()


@pytest.mark.parametrize("name", KINDS)
def test_the_channels_are_the_neurons_in_both_engines(name):
    kind, shape, sizes = KINDS[name]
    module = made(kind)
    batch = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    plain = TorchNetwork(module, shape, taps="auto", classes=None)
    assert [tap.size for tap in plain.taps] == sizes
    seen = plain.observe(batch)
    for dynamo in (True, False) if name == "residual" else (False,):
        network = OnnxNetwork(exported(module, shape, dynamo), taps="auto", classes=None)
        assert [tap.size for tap in network.taps] == sizes
        for one, other in zip(network.observe(batch).activations, seen.activations, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_where_nothing_tells_the_user_is_asked(engine):
    module = made(Untold)

    def network(**options):
        if engine == "torch":
            return TorchNetwork(module, TOKENS, classes=None, **options)
        return OnnxNetwork(exported(module, TOKENS, dynamo=False), classes=None, **options)

    relu = "relu" if engine == "torch" else "/Relu_output_0"
    with pytest.raises(ValueError, match=rf"'{relu}' cannot be tapped: its channel axis cannot be told: say layouts="):
        network(taps=relu)
    with pytest.warns(NetworkWarning, match=f"left out {relu}: the channel axis cannot be told"):
        assert [tap.kind for tap in network(taps="auto").taps] == ["gelu"]
    batch = np.random.default_rng(0).normal(size=(2, *TOKENS)).astype(np.float32)
    value = np.maximum(batch - np.float32(0.3), 0)
    for layout, axis in (("NCL", 2), ("NLC", 1)):
        seen = network(taps=relu, layouts={"@relu": layout}).observe(batch).activations[0]
        np.testing.assert_allclose(seen, value.mean(axis), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="expected layouts of tensors that the network has, got one of 'relv'"):
        network(layouts={"relv": "NCL"})
