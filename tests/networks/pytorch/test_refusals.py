"""Programs that are no modules in Python."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.networks import NetworkWarning, TorchNetwork  # noqa: E402
from outrider.networks.adapting import as_network  # noqa: E402

from .modules import SHAPE, conv_net  # noqa: E402

INSTEAD = r"give the nn\.Module that it was made of, or torch\.onnx\.export that"


def test_torchscript_is_refused_with_what_to_give():
    with pytest.warns(DeprecationWarning, match="jit"):
        traced = torch.jit.trace(conv_net(), torch.zeros(1, *SHAPE))
    with pytest.raises(TypeError, match=f"got a TorchScript program; {INSTEAD}"):
        TorchNetwork(traced, SHAPE)


@pytest.mark.parametrize("unwrapped", [False, True])
def test_exported_programs_are_refused_with_what_to_give(unwrapped):
    program = torch.export.export(conv_net(), (torch.zeros(1, *SHAPE),))
    with pytest.raises(TypeError, match=f"got a (program of torch.export|graph of torch.fx.*); {INSTEAD}"):
        as_network(program.module() if unwrapped else program, input_shape=SHAPE)


def test_a_traced_graph_in_eval_mode_is_a_module_like_others():
    graph = torch.fx.symbolic_trace(conv_net())
    with TorchNetwork(graph, SHAPE) as network:
        assert [tap.name for tap in network.taps] == ["1", "1", "3", "3", "output"]


def test_other_things_are_refused():
    with pytest.raises(TypeError, match=r"expected an nn\.Module, got function"):
        TorchNetwork(conv_net, SHAPE)


def test_parts_on_several_devices_are_refused():
    module = nn.DataParallel(conv_net())
    module.device_ids = [0, 1]
    with pytest.raises(ValueError, match=r"got DataParallel over 2; give its \.module"):
        TorchNetwork(module.eval(), SHAPE)


def test_a_module_without_weights_in_memory_is_refused():
    with torch.device("meta"):
        module = nn.Linear(2, 2).eval()
    with pytest.raises(ValueError, match="expected a module with weights, got one on the device 'meta'"):
        TorchNetwork(module, (2,))


def test_parts_that_torchscript_runs_are_told_of():
    with pytest.warns(DeprecationWarning, match="jit"):
        part = torch.jit.trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), torch.zeros(1, 4))
    with (
        pytest.warns(NetworkWarning, match="the insides of 2 cannot be seen, as TorchScript runs them"),
        TorchNetwork(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), part).eval(), (2,)) as network,
    ):
        assert [tap.name for tap in network.taps] == ["1", "output"]


def test_a_module_whose_weights_are_not_made_yet_is_refused():
    module = nn.Sequential(nn.LazyLinear(2), nn.ReLU()).eval()
    with pytest.raises(ValueError, match="got lazy ones without; run the module once"):
        TorchNetwork(module, (2,))
    module(torch.zeros(1, 2))
    TorchNetwork(module, (2,))
