"""What hooks record, against hooks by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import TorchNetwork  # noqa: E402
from outrider.networks.pytorch.hooks import kind_of, trial_batch  # noqa: E402

from .modules import SHAPE, Untraceable, built, chain, conv_net, images, seen_by_hooks  # noqa: E402


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


def test_a_module_that_overwrites_its_input_gets_a_copy():
    module = chain(nn.ReLU(inplace=True), nn.Linear(6, 3))
    network, batch = TorchNetwork(module, (6,)), images(2, (6,))
    before = batch.copy()
    network.observe(batch)
    network.run(batch)
    np.testing.assert_array_equal(batch, before)


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


def test_a_class_called_output_is_no_class_score():
    class Output(nn.Module):
        pass

    assert kind_of(Output()) == "module"
    assert kind_of(nn.LeakyReLU()) == "leakyrelu"


def test_the_weights_tell_the_dtype_of_a_trial_batch():
    assert trial_batch(nn.Linear(2, 2).to(torch.bfloat16), (2, 3)).dtype == torch.bfloat16
    found = trial_batch(nn.ReLU(), (2, 3))
    assert (found.dtype, found.shape, bool(found.any())) == (torch.float32, (2, 2, 3), False)
    assert trial_batch(nn.BatchNorm1d(2, affine=False).double(), (2,)).dtype == torch.float64  # a buffer of floats
