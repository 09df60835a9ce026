"""TorchNetwork against hooks by hand and plain torch."""

from __future__ import annotations

import copy
import threading
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import LeNet, SmallResNet, TorchNetwork  # noqa: E402

SHAPE = (3, 8, 8)


def images(n=3, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def built(module, seed=0):
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def chain(*modules):
    return built(nn.Sequential(*modules))


def conv_net():
    return chain(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5))


def seen_by_hooks(module, batch, names):
    """The outputs of the named modules, each call on its own, copied when they are made."""
    seen = {name: [] for name in names}
    handles = [
        module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen[name].append(output.clone())
        )
        for name in names
    ]
    with torch.no_grad():
        output = module(torch.from_numpy(batch))
    for handle in handles:
        handle.remove()
    return output, seen


class Residual(nn.Module):
    """One ReLU module that runs twice, in place, and an addition in place over what was tapped."""

    def __init__(self, inplace=True):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.dense = nn.Linear(3, 4)

    def forward(self, x):
        y = self.relu(self.conv1(x))
        y = self.conv2(y)
        y += x
        return self.dense(self.relu(y).mean((2, 3)))


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


class Heads(nn.Module):
    """Several outputs, in the container that it is told."""

    def __init__(self, pack):
        super().__init__()
        self.relu = nn.ReLU()
        self.box = nn.Linear(6, 1)
        self.scores = nn.Linear(6, 3)
        self.pack = pack

    def forward(self, x):
        x = self.relu(x)
        return self.pack(self.box(x), self.scores(x))


class Pair(NamedTuple):
    box: torch.Tensor
    scores: torch.Tensor


class Untraceable(nn.Module):
    """Branches on the data: what it runs depends on the sign of the sum."""

    def __init__(self, activation=None):
        super().__init__()
        self.dense = nn.Linear(6, 6)
        self.relu = activation or nn.Identity()

    def forward(self, x):
        x = functional.relu(self.dense(x))
        return self.relu(x) if x.sum() >= 0 and not (x > 1e6).any() else x


@pytest.mark.parametrize("make", [LeNet, lambda: SmallResNet(width=8)])
def test_activations_are_those_of_hooks(make):
    module = built(make())
    shape = (1, 28, 28) if isinstance(module, LeNet) else (3, 32, 32)
    names = [name for name, part in module.named_modules() if isinstance(part, nn.ReLU)]
    batch = images(3, shape)
    output, seen = seen_by_hooks(module, batch, names)
    with TorchNetwork(module, shape, neurons=("unit", "channel")) as network:
        observation = network.observe(batch)
    assert {tap.name for tap in network.taps} == {*names, "output"}
    np.testing.assert_array_equal(observation.output, output)
    np.testing.assert_array_equal(observation.logits, output)
    for tap, found in zip(network.taps[:-1], observation.activations[:-1], strict=True):
        value = seen[tap.name][0]
        expected = value.flatten(1) if tap.neurons == "unit" else value.mean((2, 3))
        assert tap.shape == tuple(value.shape[1:])
        assert found.shape == (3, tap.size)
        assert found.flags.c_contiguous
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    assert observation.activations[-1] is observation.logits


@pytest.mark.parametrize(
    ("neurons", "reduced"),
    [
        ("unit", lambda x: x.flatten(1)),
        ("channel", lambda x: x.mean((2, 3))),
        ("channel-max", lambda x: x.amax((2, 3))),
        ("grid1", lambda x: x.mean((2, 3))),
        ("grid2", lambda x: functional.adaptive_avg_pool2d(x, 2).flatten(1)),
        ("grid5", lambda x: functional.adaptive_avg_pool2d(x, 5).flatten(1)),
    ],
)
def test_neurons(neurons, reduced):
    module, batch = conv_net(), images()
    network = TorchNetwork(module, SHAPE, taps="auto", neurons=neurons)
    _, seen = seen_by_hooks(module, batch, ["1", "3"])
    for index, name in enumerate(("1", "3")):
        np.testing.assert_allclose(
            network.observe(batch).activations[index], reduced(seen[name][0]), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("neurons", ["unit", "channel"])
def test_a_module_that_runs_twice_has_two_taps_with_the_values_of_their_time(inplace, neurons):
    module, batch = built(Residual(inplace)), images()
    network = TorchNetwork(module, SHAPE, taps=("relu*", "conv2", "conv1"), neurons=neurons)
    assert [tap.name for tap in network.taps] == ["conv1", "relu", "conv2", "relu#2", "output"]
    output, seen = seen_by_hooks(module, batch, ["conv1", "relu", "conv2"])
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, output)
    expected = [seen["conv1"][0], seen["relu"][0], seen["conv2"][0], seen["relu"][1]]
    for found, value in zip(observation.activations, expected, strict=False):
        np.testing.assert_array_equal(found, value.flatten(1) if neurons == "unit" else value.mean((2, 3)))
    second = TorchNetwork(module, SHAPE, taps="relu#2", neurons=neurons)
    assert [tap.name for tap in second.taps] == ["relu#2", "output"]
    np.testing.assert_array_equal(second.observe(batch).activations[0], observation.activations[3])


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


def test_another_number_of_runs_is_an_error_that_leaves_nothing_behind():
    network = TorchNetwork(built(Untraceable(nn.ReLU())), (6,))
    usual = images(2, (6,))
    before = network.observe(usual)
    with pytest.raises(RuntimeError, match="expected 'relu' to run 1 times a batch, as in the trial run, got 0"):
        network.observe(usual * np.float32(1e8))
    for first, second in zip(before.activations, network.observe(usual).activations, strict=True):
        np.testing.assert_array_equal(first, second)


def test_an_exception_in_the_module_leaves_nothing_behind():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()
            self.dense = nn.Linear(6, 3)

        def forward(self, x):
            x = self.relu(x)
            if x.max() > 100:
                raise ArithmeticError("too bright")
            return self.dense(self.relu(-x))

    network = TorchNetwork(built(Fragile()), (6,))
    usual = images(2, (6,))
    before = network.observe(usual)
    with pytest.raises(ArithmeticError, match="too bright"):
        network.observe(usual + np.float32(1000))
    assert network._recording is None
    after = network.observe(usual)
    assert len(after.activations) == len(before.activations) == 3
    for first, second in zip(before.activations, after.activations, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_module_stays_as_it_was():
    module = conv_net()
    module(torch.from_numpy(images())).sum().backward()
    module[0].weight.requires_grad_(False)
    state = copy.deepcopy(module.state_dict())
    gradients = {name: p.grad.clone() for name, p in module.named_parameters()}
    needs = {name: p.requires_grad for name, p in module.named_parameters()}
    text = str(module)
    network = TorchNetwork(module, SHAPE, neurons="unit")
    network.observe(images())
    network.close()
    assert str(module) == text
    assert not any(part._forward_hooks or part.training for part in module.modules())
    assert {name: p.requires_grad for name, p in module.named_parameters()} == needs
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter, state[name])
        assert torch.equal(parameter.grad, gradients[name])


def test_the_module_can_be_used_beside_the_network():
    module, batch = conv_net(), images()
    network = TorchNetwork(module, SHAPE)
    expected = network.observe(batch)
    output = module(torch.from_numpy(images(7, seed=1)))
    assert output.requires_grad
    np.testing.assert_array_equal(network.observe(batch).activations[0], expected.activations[0])


def test_hooks_are_installed_once_and_removed_by_close():
    module = conv_net()
    network = TorchNetwork(module, SHAPE)
    for _ in range(3):
        network.observe(images())
    assert [len(part._forward_hooks) for part in module] == [0, 1, 0, 1, 0, 0]
    network.close()
    network.close()
    assert not any(part._forward_hooks for part in module.modules())
    for call in (network.observe, network.run):
        with pytest.raises(RuntimeError, match="after close"):
            call(images())


def test_a_constructor_that_fails_leaves_no_hooks():
    module = conv_net()
    with pytest.raises(ValueError, match="got 'nothing'"):
        TorchNetwork(module, SHAPE, taps="nothing")
    with pytest.raises(ValueError, match=r"expected a module that takes a batch of shape \(2, 1, 8, 8\), got Runtime"):
        TorchNetwork(module, (1, 8, 8))
    assert not any(part._forward_hooks for part in module.modules())


def test_training_mode_is_refused_not_changed():
    module = conv_net()
    module[1].train()
    with pytest.raises(
        ValueError, match=r"expected a module in eval mode \(call \.eval\(\)\), got training mode in 1$"
    ):
        TorchNetwork(module, SHAPE)
    assert module[1].training
    module.eval()
    network = TorchNetwork(module, SHAPE)
    module.train()
    with pytest.raises(RuntimeError, match="got training mode"):
        network.observe(images())


@pytest.mark.parametrize(
    "view",
    [
        torch.from_numpy,
        lambda x: torch.from_numpy(x).contiguous(memory_format=torch.channels_last),
        lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        lambda x: np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1],
        lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    ],
    ids=["tensor", "channels-last", "strided", "reversed", "read-only"],
)
def test_batches_of_every_make(view):
    network = TorchNetwork(conv_net(), SHAPE, neurons="unit")
    expected, found = network.observe(images()), network.observe(view(images()))
    for first, second in zip(expected.activations, found.activations, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)
        assert second.flags.c_contiguous


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (images().astype(np.float64), TypeError, "expected a batch of dtype float32, got float64; convert it"),
        (torch.zeros(2, *SHAPE, dtype=torch.float64), TypeError, r"dtype float32, got torch\.float64"),
        (np.zeros((2, *SHAPE), np.uint8), TypeError, "dtype float32, got uint8"),
        (images().tolist(), TypeError, "expected a numpy array or a torch tensor, got list"),
        (images()[0], ValueError, r"expected a batch of shape \(n, 3, 8, 8\), got \(3, 8, 8\)"),
        (images()[:, :, :5], ValueError, r"got \(3, 3, 5, 8\)"),
        (images()[:0], ValueError, r"got \(0, 3, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8), ValueError, r"got \(1, 1, 8, 8\)"),
    ],
)
def test_other_batches_are_refused(batch, error, message):
    network = TorchNetwork(conv_net(), SHAPE)
    for call in (network.observe, network.run):
        with pytest.raises(error, match=message):
            call(batch)


def test_nan_passes_through():
    batch = images()
    batch[1, 0, 3, 3] = np.nan
    observation = TorchNetwork(conv_net(), SHAPE).observe(batch)
    assert np.isnan(observation.logits).any(1).tolist() == [False, True, False]


def test_a_module_that_overwrites_its_input_gets_a_copy():
    module = chain(nn.ReLU(inplace=True), nn.Linear(6, 3))
    network, batch = TorchNetwork(module, (6,)), images(2, (6,))
    before = batch.copy()
    network.observe(batch)
    network.run(batch)
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize(
    ("pack", "logits"),
    [
        (Pair, 1),
        (Pair, "scores"),
        (lambda box, scores: (box, scores), 1),
        (lambda box, scores: [box, scores], 1),
        (lambda box, scores: {"box": box, "scores": scores}, "scores"),
        (lambda box, scores: {"box": box, "scores": scores}, 1),
    ],
)
def test_logits_among_several_outputs(pack, logits):
    module, batch = built(Heads(pack)), images(4, (6,))
    network = TorchNetwork(module, (6,), scores_output=logits)
    observation = network.observe(batch)
    with torch.no_grad():
        expected = module.scores(torch.relu(torch.from_numpy(batch)))
    assert network.classes == 3
    assert type(observation.output) is type(pack(1, 2))
    np.testing.assert_array_equal(observation.logits, expected)


def test_outputs_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="scores_output to be one of the outputs 0, 1, 'box', 'scores', got 'class'"):
        TorchNetwork(built(Heads(Pair)), (6,), scores_output="class")
    with pytest.raises(ValueError, match="outputs 0, got 1"):
        TorchNetwork(conv_net(), SHAPE, scores_output=1)


@pytest.mark.parametrize(
    ("module", "classes", "expected"),
    [
        (chain(nn.Linear(6, 1), nn.ReLU()), "auto", None),
        (chain(nn.Linear(6, 5), nn.ReLU()), None, None),
        (chain(nn.Linear(6, 5), nn.ReLU()), 5, 5),
        (chain(nn.ReLU(), nn.Unflatten(1, (2, 3))), "auto", None),
    ],
)
def test_classes(module, classes, expected):
    network = TorchNetwork(module, (6,), classes=classes)
    observation = network.observe(images(2, (6,)))
    assert network.classes == expected
    assert (observation.logits is None) == (expected is None)
    assert len(observation.activations) == len(network.taps) == (1 if expected is None else 2)


@pytest.mark.parametrize(
    ("module", "shape", "size"),
    [
        (nn.Sequential(nn.Conv1d(3, 4, 1), nn.ReLU()), (3, 6), 4),
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU()), (3, 6), 5),
        (nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True, norm_first=True), (3, 6), 6),
    ],
    ids=["signal", "tokens", "tokens after a sum"],
)
def test_channels_of_sequences_lie_where_the_modules_have_them(module, shape, size):
    with TorchNetwork(nn.Sequential(module).eval(), shape, taps="0", neurons="channel", classes=None) as network:
        (tap,) = network.taps
        batch = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
        seen = network.observe(batch)
    assert tap.size == size
    axis = 2 if tap.layout == "NCL" else 1
    np.testing.assert_allclose(seen.activations[0], seen.output.numpy().mean(axis), atol=1e-5)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (4, r"expected class scores of shape \(2, 4\) for a batch of 2, got \(2, 5\)"),
        (1, "expected classes 'auto', 'pixel', None or a number from 2, got 1"),
        ("ten", "got 'ten'"),
    ],
)
def test_classes_that_do_not_fit_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        TorchNetwork(conv_net(), SHAPE, classes=classes)


def test_by_default_every_activation_is_pooled_and_the_first_is_seen_unit_by_unit():
    network = TorchNetwork(conv_net(), SHAPE)
    assert [tap.id for tap in network.taps] == ["1:channel", "1:unit", "3:channel", "output:unit"]


def test_the_class_scores_alone():
    network = TorchNetwork(conv_net(), SHAPE, taps="@output")
    assert [tap.id for tap in network.taps] == ["output:unit"]
    assert len(network.observe(images()).activations) == 1


def test_channels_are_last_behind_a_dense_layer():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 1)
            self.first = nn.GELU()
            self.dense = nn.Linear(5, 7)
            self.second = nn.GELU()

        def forward(self, x):
            return self.second(self.dense(self.first(self.conv(x)).permute(0, 2, 3, 1)))

    module = built(Tokens())
    network = TorchNetwork(module, SHAPE, taps="auto")
    assert [(tap.layout, tap.shape, tap.size) for tap in network.taps] == [
        ("NCHW", (5, 8, 8), 5),
        ("NHWC", (8, 8, 7), 7),
    ]
    _, seen = seen_by_hooks(module, images(), ["second"])
    np.testing.assert_allclose(network.observe(images()).activations[1], seen["second"][0].mean((1, 2)), rtol=1e-5)


def test_sequences_of_tokens():
    module = chain(nn.Linear(6, 7), nn.GELU(), nn.Flatten(), nn.Linear(28, 3))
    network = TorchNetwork(module, (4, 6), neurons=("channel", "grid2"))
    batch = images(2, (4, 6))
    _, seen = seen_by_hooks(module, batch, ["1"])
    observation = network.observe(batch)
    assert network.taps[0].layout == "NLC"
    np.testing.assert_allclose(observation.activations[0], seen["1"][0].mean(1), rtol=1e-5, atol=1e-6)
    halves = torch.stack([seen["1"][0][:, :2].mean(1), seen["1"][0][:, 2:].mean(1)], 2).flatten(1)
    np.testing.assert_allclose(observation.activations[1], halves, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_tapped_says_why():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.fold = nn.Flatten(0, 1)
            self.deep = nn.Unflatten(1, (1, 1, 1, -1))

        def forward(self, x):
            x = self.attention(x, x, x)[0]
            return self.relu(self.fold(x)).sum(), self.deep(x)

    module = built(Odd())
    for name, message in (
        ("attention", "'attention' cannot be tapped: expected a module that returns a tensor, got tuple"),
        ("fold", r"expected 2 rows for a batch of 2, got shape \(8, 6\)"),
        ("deep", r"got 6 axes: \(2, 1, 1, 1, 4, 6\)"),
    ):
        with pytest.raises(ValueError, match=message):
            TorchNetwork(module, (4, 6), taps=name)


def test_half_precision_modules_are_fed_and_read_in_float32():
    module = conv_net().to(torch.bfloat16)
    network = TorchNetwork(module, SHAPE, neurons=("unit", "channel"))
    observation = network.observe(images())
    assert {tap.dtype for tap in network.taps} == {"bfloat16"}
    assert {values.dtype for values in observation.activations} == {np.dtype(np.float32)}
    _, seen = seen_by_hooks(module.float(), images(), ["1"])
    np.testing.assert_allclose(observation.activations[0], seen["1"][0].flatten(1), atol=0.05)


def test_the_fingerprint_follows_weights_and_structure():
    def fingerprint(module):
        return TorchNetwork(module, SHAPE).fingerprint

    module = conv_net()
    first = fingerprint(module)
    assert len(first) == 64
    assert fingerprint(conv_net()) == first
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] += 1
    assert fingerprint(module) != first
    other = conv_net()
    other[1] = nn.ReLU6().eval()
    assert fingerprint(other) != first


def test_threads_do_not_mix_their_activations():
    network = TorchNetwork(conv_net(), SHAPE)
    batches = [images(2, seed=seed) for seed in range(4)]
    expected = [network.observe(batch).activations[0] for batch in batches]
    wrong = []

    def work(index):
        found = [network.observe(batches[index]).activations[0] for _ in range(10)]
        wrong.extend(not np.array_equal(values, expected[index]) for values in found)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 40
    assert not any(wrong)


def test_the_repr_is_short():
    assert repr(TorchNetwork(conv_net(), SHAPE, taps="auto")) == "TorchNetwork(Sequential, (3, 8, 8)): 3 taps"


def test_a_run_does_not_come_between_an_observation():
    """Both hold the lock while the module runs: its hooks would count a run from another thread."""
    held = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()
            self.network = None

        def forward(self, x):
            if self.network is not None:
                held.append(self.network[0]._lock.locked())
            return self.relu(x)

    module = Watched().eval()
    network = TorchNetwork(module, (4,), taps="relu")
    module.network = (network,)
    batch = images(2, (4,))
    network.observe(batch)
    network.run(batch)
    assert held == [True, True]
    with pytest.raises(ValueError, match="expected a batch of shape"):
        network.run(batch[:, :3])
    assert not network._lock.locked()
