"""Activations are found by what they do: functions, methods, classes of one's own, gates, models of transformers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")


import torch
from torch import nn

from outrider.networks import TorchNetwork
from outrider.networks.transformers import import_transformers

from . import modules as zoo

F = nn.functional
SHAPE = (3, 8, 8)


def made(kind):
    torch.manual_seed(0)
    return kind().eval()


def frames(n=2, shape=SHAPE):
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


def means(values):
    return values.detach().mean((2, 3)).numpy()


def kinds(network):
    return [(tap.name, tap.kind) for tap in network.taps if tap.kind != "output"]


def test_functions_are_named_by_their_caller_and_order():
    module = made(zoo.Base)
    network = TorchNetwork(module, SHAPE, taps="auto")
    assert kinds(network) == [("relu", "relu"), ("relu#2", "relu")]
    x = torch.from_numpy(frames())
    first = F.relu(module.conv(x))
    second = F.relu(module.again(first))
    seen = network.observe(frames()).activations
    np.testing.assert_allclose(seen[0], means(first), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen[1], means(second), rtol=1e-5, atol=1e-6)


def test_methods_and_functions_of_torch_count():
    module = made(zoo.Methods)
    network = TorchNetwork(module, SHAPE, taps=("auto", "@tanh"))
    assert [kind for _, kind in kinds(network)] == ["relu", "relu", "tanh"]
    h = torch.relu(module.again(torch.relu(module.conv(torch.from_numpy(frames())))))
    np.testing.assert_allclose(network.observe(frames()).activations[2], means(h.tanh()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [zoo.HardSwish, zoo.HardSwishModules])
def test_a_relu6_that_only_gates_is_known_for_a_gate(kind):
    module = made(kind)
    network = TorchNetwork(module, SHAPE, taps="auto")
    assert [kind for _, kind in kinds(network)] == ["hardswish", "hardswish"]
    h = F.hardswish(module.conv(torch.from_numpy(frames())))
    np.testing.assert_allclose(network.observe(frames()).activations[0], means(h), rtol=1e-4, atol=1e-5)


def test_classes_of_ones_own_are_what_they_compute():
    module = made(zoo.Classes)
    network = TorchNetwork(module, SHAPE, taps="auto")
    assert kinds(network) == [("a", "relu"), ("b", "relu6"), ("c", "gelu")]
    h = module.b(module.again(module.a(module.conv(torch.from_numpy(frames())))))
    expected = means(F.gelu(module.again(h), approximate="tanh"))
    np.testing.assert_allclose(network.observe(frames()).activations[2], expected, rtol=1e-4, atol=1e-5)


def test_values_are_those_before_they_are_overwritten():
    module = made(zoo.InPlace)
    network = TorchNetwork(module, SHAPE, taps=("conv", "auto"))
    x = torch.from_numpy(frames())
    with torch.no_grad():
        conv = module.conv(x)
        first = F.relu(conv)
        second = F.relu(module.again(first) - 0.1)
        third = F.relu(second + 1)
    expected = [means(values) for values in (conv, first, second, third)]
    seen = network.observe(frames()).activations
    assert [tap.kind for tap in network.taps] == ["conv2d", "relu", "relu", "relu", "output"]
    for one, other in zip(seen, expected, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_an_activation_that_runs_again_has_a_tap_for_each_run():
    module = made(zoo.Reused)
    network = TorchNetwork(module, SHAPE, taps="auto")
    assert kinds(network) == [("relu", "relu"), ("relu#2", "relu"), ("relu#3", "relu")]
    with torch.no_grad():
        first = F.relu(module.conv(torch.from_numpy(frames())))
        second = F.relu(module.again(first) + first)
        expected = [means(first), means(second), means(F.relu(second - 0.2))]
    for one, other in zip(network.observe(frames()).activations, expected, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def vit():
    pytest.importorskip("transformers")
    transformers = import_transformers()
    config = transformers.ViTConfig(**SMALL, image_size=16, patch_size=8, num_labels=3)
    return transformers.ViTForImageClassification(config).eval(), 24, 2


def segformer():
    pytest.importorskip("transformers")
    transformers = import_transformers()
    config = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[3, 3], strides=[2, 2],
        num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=8, num_labels=3,
    )  # fmt: skip
    return transformers.SegformerForImageClassification(config).eval(), 32, 2


@pytest.mark.parametrize("make", [vit, segformer])
def test_the_gelus_of_transformers_are_found(make):
    torch.manual_seed(0)
    module, width, layers = make()
    network = TorchNetwork(module, (3, 16, 16), taps="@gelu")
    assert len(network.taps) == layers + 1
    assert (network.taps[layers - 1].kind, network.taps[layers - 1].size) == ("gelu", width)
    found = []
    names = {tap.name.split(".gelu")[0] for tap in network.taps}
    for name, part in module.named_modules():
        if name in names:
            part.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    seen = network.observe(frames(2, (3, 16, 16)))
    with torch.inference_mode():
        own = module(torch.from_numpy(frames(2, (3, 16, 16))))
    assert type(seen.output) is type(own)
    np.testing.assert_array_equal(seen.output.logits.numpy(), own.logits.numpy())
    np.testing.assert_array_equal(seen.logits, own.logits.numpy())
