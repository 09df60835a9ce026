"""A PyTorch module is watched as it is: its output to the last bit, and nothing of it changed."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from outrider.networks import NetworkWarning, TorchNetwork, check_network

from . import modules as zoo

SHAPE = (3, 8, 8)
SAME = [
    zoo.Base, zoo.RootHook, zoo.Branches, zoo.Temperature, zoo.Switch, zoo.Apart, zoo.InPlace, zoo.Reused, zoo.Named,
    zoo.Tupled, zoo.OldNorm, zoo.NewNorm, zoo.Methods, zoo.HardSwish, zoo.HardSwishModules, zoo.Classes, zoo.Depends,
]  # fmt: skip


def made(kind):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old weight_norm is deprecated
        return kind().eval()


def frames(n=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).astype(np.float32)


def bare(module):
    def run(batch):
        with torch.inference_mode():
            return module(torch.from_numpy(batch))

    return run


def arrays(output):
    values = output.values() if isinstance(output, dict) else output if isinstance(output, tuple) else (output,)
    return [value.numpy() for value in values]


def inside(module):
    """All that a module holds: attributes and hooks of every part, and copies of its tensors."""
    parts, tensors = {}, {name: value.clone() for name, value in module.state_dict().items()}
    for name, part in module.named_modules():
        held = {key: value for key, value in vars(part).items() if not key.startswith("_") or "hooks" in key}
        tensors |= {f"{name}.{key}": value.clone() for key, value in held.items() if isinstance(value, torch.Tensor)}
        parts[name] = {key: copy.copy(value) for key, value in held.items() if not isinstance(value, torch.Tensor)}
        parts[name]["own"] = sorted(vars(part))
    return parts, tensors


def assert_unchanged(module, before):
    parts, tensors = inside(module)
    assert parts == before[0]
    assert tensors.keys() == before[1].keys()
    for name, value in tensors.items():
        assert torch.equal(value, before[1][name]), name


@pytest.mark.parametrize("kind", SAME)
def test_the_output_is_the_modules_own_and_nothing_of_it_changes(kind):
    module = made(kind)
    before = inside(module)
    network = TorchNetwork(module, SHAPE)
    assert_unchanged(module, before)
    for batch in (frames(), frames(1, seed=1)):
        own = bare(module)(batch)
        seen = network.observe(batch)
        assert type(seen.output) is type(own)
        for one, other in zip(arrays(seen.output), arrays(own), strict=True):
            np.testing.assert_array_equal(one, other)
        assert_unchanged(module, before)
    network.close()
    assert_unchanged(module, before)


@pytest.mark.parametrize("kind", SAME)
def test_every_kind_keeps_the_rules(kind):
    module = made(kind)
    check_network(TorchNetwork(module, SHAPE), frames(), bare=bare(module))


def test_attributes_changed_later_count():
    module = made(zoo.Temperature)
    network = TorchNetwork(module, SHAPE)
    before = network.observe(frames()).output.numpy()
    module.T = 2.5
    np.testing.assert_allclose(network.observe(frames()).output.numpy(), before / 2.5, rtol=1e-6)
    np.testing.assert_array_equal(network.observe(frames()).output.numpy(), bare(module)(frames()).numpy())


def test_dropout_that_is_switched_on_later_drops():
    module = made(zoo.Switch)
    network = TorchNetwork(module, SHAPE)
    module.drop = True
    torch.manual_seed(3)
    seen = network.observe(frames()).output.numpy()
    torch.manual_seed(3)
    np.testing.assert_array_equal(seen, bare(module)(frames()).numpy())
    assert not np.array_equal(seen, network.observe(frames()).output.numpy())


def test_noise_is_drawn_anew_at_every_run_and_construction_draws_none():
    module = made(zoo.Noisy)
    torch.manual_seed(3)
    with pytest.warns(NetworkWarning, match="draws random numbers"):
        network = TorchNetwork(module, SHAPE)
    seen = [network.observe(frames()).output.numpy() for _ in range(2)]
    torch.manual_seed(3)
    own = [bare(module)(frames()).numpy() for _ in range(2)]
    np.testing.assert_array_equal(seen, own)
    assert not np.array_equal(*seen)
    with pytest.warns(NetworkWarning, match="is not deterministic"):
        check_network(network)


@pytest.mark.parametrize(("kind", "name"), [(zoo.Counting, "frames"), (zoo.Counting, "last"), (zoo.Smoothing, "mean")])
def test_state_from_frame_to_frame_is_told_of_and_stays_the_modules_own(kind, name):
    module, twin = made(kind), made(kind)
    before = inside(module)
    with pytest.warns(NetworkWarning, match=rf"keeps something from frame to frame, .*'{name}'"):
        network = TorchNetwork(module, SHAPE)
    assert_unchanged(module, before)
    for seed in range(3):
        seen, own = network.observe(frames(seed=seed)).output, twin(torch.from_numpy(frames(seed=seed)))
        np.testing.assert_array_equal(seen.numpy(), own.detach().numpy())
    kept, expected = getattr(module, name), getattr(twin, name)
    assert type(kept) is type(expected)
    assert torch.equal(torch.as_tensor(kept), torch.as_tensor(expected))


def test_a_module_for_several_devices_runs_on_the_cpu():
    module = nn.DataParallel(made(zoo.Base)).eval()
    network = TorchNetwork(module, SHAPE)
    own = bare(module)
    check_network(network, frames(), bare=own)


@pytest.mark.parametrize("kind", [zoo.Base, zoo.Reused])
def test_a_compiled_module_returns_what_it_compiled(kind):
    module = made(kind)
    compiled = torch.compile(module, backend="eager")
    with pytest.warns(NetworkWarning, match="a compiled module runs twice"):
        network = TorchNetwork(compiled, SHAPE)
    seen = network.observe(frames())
    np.testing.assert_array_equal(seen.output.numpy(), bare(compiled)(frames()).numpy())
    plain = TorchNetwork(module, SHAPE)
    assert [tap.id for tap in network.taps] == [tap.id for tap in plain.taps]
    for one, other in zip(seen.activations, plain.observe(frames()).activations, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_frame_whose_calls_differ_is_an_error_that_names_the_call():
    module = made(zoo.Depends)
    network = TorchNetwork(module, SHAPE)
    with pytest.raises(RuntimeError, match=r"expected .*relu.* in the module itself.*must not depend on the data"):
        network.observe(frames() + 5000)
    np.testing.assert_array_equal(network.observe(frames()).output.numpy(), bare(module)(frames()).numpy())


def test_programs_without_python_say_what_to_give_instead():
    module, batch = made(zoo.Base), torch.from_numpy(frames())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.trace(module, batch)
        exported = torch.export.export(module, (batch,))
    for program, name in ((scripted, "TorchScript"), (exported, "torch.export"), (exported.module(), "torch.export")):
        with pytest.raises(TypeError, match=rf"{name}.*give .* to OnnxNetwork"):
            TorchNetwork(program, SHAPE)
