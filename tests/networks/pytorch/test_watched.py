"""A module that returns its neurons with its output, against the network that observes it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import TorchNetwork  # noqa: E402
from outrider.networks.pytorch.watched import Tapped, WatchedModule, twin_of  # noqa: E402

SHAPE = (3, 9, 8)


class Mixed(nn.Module):
    """Modules and functions in turn, one inside of another; a part that runs twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True)
        self.inner = Inner()
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = functional.relu(self.inner(self.inner(x)) - 0.1)
        return self.head(x.mean((2, 3)))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gelu = nn.Conv2d(6, 6, 3, padding=1), nn.GELU()

    def forward(self, x):
        return torch.relu(self.gelu(self.conv(x)) + x)


def made(module=None, **options):
    torch.manual_seed(0)
    module = (Mixed() if module is None else module).eval()
    return module, TorchNetwork(module, SHAPE, **options)


def frames(n=5, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (n, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("neurons", ["channel", "channel-max", "unit", "grid2"])
def test_neurons_and_scores_are_those_that_the_network_observes(neurons):
    _, network = made(neurons=neurons)
    names = [tap.name for tap in network.taps]
    assert {"relu", "inner.gelu", "inner.gelu#2", "inner.relu", "inner.relu#2", "relu#function"} <= set(names)
    seen = network.observe(frames())
    with torch.no_grad():
        output, scores, found = WatchedModule(network)(torch.from_numpy(frames()))
    assert torch.equal(output, torch.as_tensor(seen.output))
    np.testing.assert_array_equal(scores, seen.logits)
    assert len(found) == len(network.taps)
    for tap, own, expected in zip(network.taps, found, seen.activations, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-6, atol=1e-7, err_msg=tap.id)


def test_the_module_itself_is_left_alone_and_its_weights_are_shared():
    module, network = made()
    watched = WatchedModule(network)
    assert not any(isinstance(part, Tapped) for part in module.modules())
    assert isinstance(watched.module.relu, Tapped)
    assert isinstance(watched.module.relu, nn.ReLU)
    pairs = zip(module.parameters(), watched.module.parameters(), strict=True)
    assert all(a is not b and a.data_ptr() == b.data_ptr() for a, b in pairs)
    with torch.no_grad():
        watched(torch.zeros(1, *SHAPE))
    assert watched.module.relu.outrider_seen is None
    assert watched.module.relu(torch.tensor([-1.0, 2.0])).tolist() == [0, 2]


def test_neurons_are_of_float32_whatever_the_module_computes_in():
    module, network = made()
    watched = WatchedModule(network).bfloat16()
    with torch.no_grad():
        output, scores, found = watched(torch.from_numpy(frames()).bfloat16())
    assert output.dtype == torch.bfloat16
    assert {scores.dtype, *(values.dtype for values in found)} == {torch.float32}
    assert module.conv.weight.dtype == torch.float32


def test_some_taps_alone_are_read_in_the_order_that_was_asked_for():
    _, network = made()
    last = len(network.taps) - 1
    watched = WatchedModule(network, [last, 2])
    assert watched.tapped == [network.taps[2].name.split("#")[0]]
    assert not watched.listening
    with torch.no_grad():
        found = watched(torch.from_numpy(frames())).neurons
    seen = network.observe(frames()).activations
    for own, position in zip(found, (last, 2), strict=True):
        np.testing.assert_allclose(own, seen[position], rtol=1e-6)
    of_function = next(i for i, tap in enumerate(network.taps) if tap.name == "relu#function")
    watched = WatchedModule(network, [of_function])
    assert not watched.tapped
    with torch.no_grad():
        (own,) = watched(torch.from_numpy(frames())).neurons
    np.testing.assert_allclose(own, seen[of_function], rtol=1e-6)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu, self.head = nn.ReLU(), nn.Linear(3, 2)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 1
        return self.head(self.relu(x).mean((2, 3)) + self.seen)


def test_a_module_that_keeps_something_from_frame_to_frame_is_refused():
    with pytest.warns(UserWarning, match="keeps something"):
        _, network = made(Counting())
    with pytest.raises(ValueError, match="expected a module that keeps nothing from frame to frame, got TorchNetwork"):
        WatchedModule(network)


def test_a_module_without_a_copy_is_refused():
    module, network = made()
    module.uncopied = (one for one in ())
    with pytest.raises(ValueError, match=r"expected a module that can be copied, got Mixed: TypeError"):
        WatchedModule(network)


def test_tied_weights_and_tensors_that_are_no_buffers_stay_so_in_a_twin():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    module.constant = torch.arange(3.0)
    twin = twin_of(module)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not module[0].weight
    assert twin.constant.data_ptr() == module.constant.data_ptr()
    twin.double()
    assert module[0].weight.dtype == torch.float32


def test_other_calls_than_in_the_trial_are_noticed():
    _, network = made()
    watched = WatchedModule(network)
    watched.module.inner.forward = lambda x: x
    with pytest.raises(RuntimeError, match=r"expected the functions that ran when it was profiled, got 'relu'"):
        watched(torch.zeros(1, *SHAPE))
