"""Activations are told by what they do."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import TorchNetwork  # noqa: E402
from outrider.networks.pytorch.reading.kinds import class_kind  # noqa: E402

from ..modules import built, chain  # noqa: E402


def kinds(module, shape=(64,)):
    """The kind of every candidate of a module behind a dense layer, by name."""
    network = TorchNetwork(built(nn.Sequential(nn.Linear(shape[-1], shape[-1]), module)), shape, taps="*", classes=None)
    return {c.name: c.kind for c in network.candidates if c.name != "0"}


class Said(nn.Module):
    """Computes what it is told."""

    def __init__(self, says):
        super().__init__()
        self.says = says

    def forward(self, x):
        return self.says(x)


class Warmer(nn.ReLU):
    pass


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Gelu(nn.Module):
    """A name of the list and none of its activations."""

    def forward(self, x):
        return x + 1


class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)


class HardSigmoid(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, x):
        return self.relu(x + 3) / 6


class HardSwish(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = HardSigmoid()

    def forward(self, x):
        return x * self.gate(x)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Warmer(), {"1": "relu"}),
        (nn.PReLU(), {"1": "prelu"}),
        (Said(functional.leaky_relu), {"1": "leakyrelu"}),
        (Said(torch.Tensor.tanh), {"1": "tanh"}),
        (Said(Own.apply), {"1": "relu"}),
        (Said(lambda x: functional.relu(x, inplace=True)), {"1": "relu"}),
        (Swish(), {"1": "silu", "1.sigmoid": "sigmoid-part"}),
        (Gelu(), {"1": "module"}),
        (Said(lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))), {"1": "gelu"}),
        (Said(lambda x: x * torch.sigmoid(1.702 * x)), {"1": "quickgelu", "1.sigmoid": "sigmoid-part"}),
        (Said(lambda x: torch.maximum(x, torch.zeros_like(x))), {"1": "relu"}),
        (Said(lambda x: torch.where(x > 0, x, 0.1 * x)), {"1": "leakyrelu"}),
        (HardSigmoid(), {"1": "hardsigmoid", "1.relu": "relu6-part"}),
        (HardSwish(), {"1": "hardswish", "1.gate": "hardsigmoid-part", "1.gate.relu": "relu6-part"}),
        (nn.Sequential(nn.ReLU()), {"1.0": "relu", "1": "sequential"}),
        (nn.Dropout(), {"1": "dropout"}),
        (nn.Softmax(-1), {"1": "softmax"}),
        (Said(lambda x: functional.relu(x) * 2 + 1), {"1": "said", "1.relu": "relu"}),
    ],
    ids=str,
)
def test_kinds(module, expected):
    assert kinds(module) == expected


def test_an_activation_in_steps_is_its_last_step_where_the_caller_does_more():
    module = built(nn.Sequential(nn.Linear(8, 8), Said(lambda x: (x * x.sigmoid()).flip(1))))
    network = TorchNetwork(module, (8,), taps="auto", classes=None)
    assert [(tap.name, tap.kind) for tap in network.taps] == [("1.silu", "silu")]
    batch = torch.rand(2, 8) - 0.5
    seen = network.observe(batch)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(seen.activations[0]), functional.silu(module[0](batch)))


@pytest.mark.parametrize(
    "says",
    [
        lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
        lambda x: torch.maximum(x.new_zeros(x.shape), x),
        lambda x: torch.minimum(torch.full(tuple(x.shape), -0.0), -x) * -1,
    ],
)
def test_a_tensor_of_one_value_is_a_number(says):
    module = built(nn.Sequential(nn.Linear(8, 8), Said(lambda x: says(x).flip(1))))
    network = TorchNetwork(module, (8,), taps="auto", classes=None)
    assert [(tap.name, tap.kind) for tap in network.taps] == [("1.relu", "relu")]


def test_a_gate_of_the_whole_picture_is_no_activation():
    class Squeeze(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x * torch.sigmoid(self.conv(x.mean((2, 3), keepdim=True))))

    network = TorchNetwork(built(Squeeze()), (3, 8, 8), taps="auto", classes=None)
    assert [tap.name for tap in network.taps] == ["act"]
    assert {c.name: c.kind for c in network.candidates} == {"conv": "conv2d", "sigmoid": "sigmoid", "act": "relu"}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_steps_are_known_in_other_precisions(dtype):
    module = chain(nn.Linear(64, 64), Swish()).to(dtype)
    network = TorchNetwork(module, (64,), taps="auto", classes=None)
    assert [(tap.name, tap.kind) for tap in network.taps] == [("1", "silu")]


def test_a_class_called_output_is_no_class_score():
    class Output(nn.Module):
        pass

    assert class_kind(Output()) == "module"
    assert class_kind(nn.LeakyReLU()) == "leakyrelu"
