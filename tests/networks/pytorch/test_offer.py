"""What a PyTorch module offers to be tapped, held against `TorchNetwork`."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import TorchNetwork  # noqa: E402
from outrider.networks.pytorch.offer import torch_offer  # noqa: E402


class Net(nn.Module):
    """An activation as a module and one as a function, a part that returns no tensor and one that does not run."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.relu = nn.ReLU()
        self.recurrent = nn.GRU(36, 5, batch_first=True)
        self.unused = nn.Linear(2, 2)
        self.dense = nn.Linear(20, 3)

    def forward(self, x):
        x, _ = self.recurrent(self.relu(self.conv(x)).flatten(2))
        return self.dense(functional.silu(x).flatten(1))


def test_the_parts_of_a_module_are_offered_or_have_an_obstacle():
    module = Net().eval()
    hooks = {name: len(part._forward_hooks) for name, part in module.named_modules()}
    offer = torch_offer(module, (1, 8, 8))
    assert {c.name: c.obstacle for c in offer.candidates if c.obstacle} == {
        "recurrent": "expected a module that returns a tensor, got tuple",
        "unused": "it does not run as a module",
    }
    found = {c.name: (c.kind, c.shape, c.layout) for c in offer.candidates if not c.obstacle}
    assert found["relu"] == ("relu", (4, 6, 6), "NCHW")
    assert found["silu"] == ("silu", (4, 5), "NLC")
    assert list(found)[-1] == "output"
    assert hooks == {name: len(part._forward_hooks) for name, part in module.named_modules()}


@pytest.mark.parametrize("selector", ["auto", "first", "stages", "widest", "*", "@conv2d", "relu"])
def test_the_taps_of_a_module_are_those_of_its_network(selector):
    module = Net().eval()
    with TorchNetwork(module, (1, 8, 8), taps=selector) as network:
        expected = [tap.name for tap in network.taps if tap.kind != "output"]
    assert list(torch_offer(module, (1, 8, 8)).taken(selector)) == expected


def test_layouts_that_are_told_make_signals_free():
    signals = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).eval()
    (relu,) = (one for one in torch_offer(signals, (4, 3)).candidates if one.kind == "relu")
    assert "its channel axis cannot be told" in relu.obstacle
    (relu,) = (one for one in torch_offer(signals, (4, 3), {"@relu": "NCL"}).candidates if one.kind == "relu")
    assert (relu.layout, relu.obstacle) == ("NCL", "")
