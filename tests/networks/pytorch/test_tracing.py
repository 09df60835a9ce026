"""Activations called as functions, against plain torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import TorchNetwork  # noqa: E402

from .modules import SHAPE, Untraceable, built, images, seen_by_hooks  # noqa: E402


class Functional(nn.Module):
    """Every way to write a ReLU without a module, and a block that is one itself."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.block = Block()
        self.dense = nn.Linear(4, 4)
        self.gate = nn.Sigmoid()

    def forward(self, x):
        x = functional.relu(self.conv(x))
        x = self.block(torch.relu(x - 0.1))
        x = functional.leaky_relu((x - 0.1).relu_().mean((2, 3)) - 0.1, 0.2)
        return self.dense(self.gate(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return self.conv(x).relu() + 1


def test_functional_activations_are_found_by_tracing():
    module, batch = built(Functional()), images()
    network = TorchNetwork(module, SHAPE, neurons="unit")
    assert [(tap.name, tap.kind) for tap in network.taps] == [
        ("relu", "relu"),
        ("relu_1", "relu"),
        ("relu_2", "relu"),
        ("relu_", "relu"),
        ("leaky_relu", "leakyrelu"),
        ("output", "output"),
    ]
    with torch.no_grad():
        x = torch.from_numpy(batch)
        first = torch.relu(module.conv(x))
        second = torch.relu(first - 0.1)
        third = torch.relu(module.block.conv(second))
        fourth = torch.relu(third + 1 - 0.1)
        fifth = functional.leaky_relu(fourth.mean((2, 3)) - 0.1, 0.2)
        output = module(x)
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, output)
    np.testing.assert_array_equal(network.run(batch), output)
    for found, value in zip(observation.activations, (first, second, third, fourth, fifth), strict=False):
        np.testing.assert_array_equal(found, value.flatten(1))


def test_modules_blocks_and_functions_can_be_tapped_together():
    module, batch = built(Functional()), images()
    network = TorchNetwork(module, SHAPE, taps=("@relu", "block", "block.conv", "gate"), neurons="unit")
    names = [tap.name for tap in network.taps]
    assert names[:5] == ["relu", "relu_1", "block.conv", "relu_2", "block"]
    _, seen = seen_by_hooks(module, batch, ["block", "block.conv", "gate"])
    observation = network.observe(batch)
    for name in ("block", "block.conv", "gate"):
        np.testing.assert_array_equal(observation.activations[names.index(name)], seen[name][0].flatten(1))


def test_the_traced_module_shares_the_weights():
    module = built(Functional())
    network = TorchNetwork(module, SHAPE)
    with torch.no_grad():
        module.dense.bias += 1
        expected = module(torch.from_numpy(images()))
    np.testing.assert_array_equal(network.observe(images()).output, expected)


def test_names_of_functions_do_not_hide_modules():
    class Clash(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.Linear(6, 6)

        def forward(self, x):
            return self.relu(functional.relu(x))

    network = TorchNetwork(built(Clash()), (6,), taps="*")
    assert [(tap.name, tap.kind) for tap in network.taps[:-1]] == [("relu#function", "relu"), ("relu", "linear")]


def test_where_tracing_fails_the_modules_are_named():
    with pytest.raises(ValueError, match=r"name tensors among: dense, relu; .* torch\.fx cannot trace the module"):
        TorchNetwork(built(Untraceable()), (6,))
    network = TorchNetwork(built(Untraceable()), (6,), taps=("dense", "rel*"))
    assert [tap.name for tap in network.taps] == ["dense", "relu", "output"]
