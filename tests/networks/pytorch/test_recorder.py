"""What is read off a run, against hooks and functions by hand."""

from __future__ import annotations

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack  # noqa: E402

from outrider.networks import TorchNetwork  # noqa: E402

from .modules import SHAPE, Untraceable, built, chain, images, seen_by_hooks  # noqa: E402


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
    """Every way to write a ReLU without a module, a block that is one itself, and one that is overwritten."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.block = Block()
        self.dense = nn.Linear(4, 4)
        self.gate = nn.Sigmoid()

    def forward(self, x):
        x = functional.relu(self.conv(x))
        x = self.block(torch.relu(x - 0.1))
        x = (x - 0.1).relu_()
        x *= 0.5
        x = functional.leaky_relu(x.mean((2, 3)) - 0.1, 0.2)
        return self.dense(self.gate(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)

    def forward(self, x):
        return self.conv(x).relu() + 1


class Choosing(nn.Module):
    """Calls other functions where the picture is bright."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(6, 6)

    def forward(self, x):
        y = functional.relu(self.dense(x))
        if x.max() > 100:
            return y
        if x.max() > 50:
            return functional.silu(y)
        return functional.gelu(functional.relu(y - 1))


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


def test_functions_are_named_by_their_caller_and_read_when_they_return():
    module, batch = built(Functional()), images()
    network = TorchNetwork(module, SHAPE, taps="auto", neurons="unit")
    assert [(tap.name, tap.kind) for tap in network.taps] == [
        ("relu", "relu"),
        ("relu#2", "relu"),
        ("block.relu", "relu"),
        ("relu#3", "relu"),
        ("leakyrelu", "leakyrelu"),
        ("output", "output"),
    ]
    with torch.no_grad():
        x = torch.from_numpy(batch)
        first = torch.relu(module.conv(x))
        second = torch.relu(first - 0.1)
        third = torch.relu(module.block.conv(second))
        fourth = torch.relu(third + 1 - 0.1)
        fifth = functional.leaky_relu((fourth * 0.5).mean((2, 3)) - 0.1, 0.2)
        output = module(x)
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, output)
    for found, value in zip(observation.activations, (first, second, third, fourth, fifth), strict=False):
        np.testing.assert_array_equal(found, value.flatten(1))


def test_modules_blocks_and_functions_can_be_tapped_together():
    module, batch = built(Functional()), images()
    network = TorchNetwork(module, SHAPE, taps=("@relu", "block", "block.conv", "gate"), neurons="unit")
    names = [tap.name for tap in network.taps]
    assert names[:5] == ["relu", "relu#2", "block.conv", "block.relu", "block"]
    _, seen = seen_by_hooks(module, batch, ["block", "block.conv", "gate"])
    observation = network.observe(batch)
    for name in ("block", "block.conv", "gate"):
        np.testing.assert_array_equal(observation.activations[names.index(name)], seen[name][0].flatten(1))


def test_the_mode_is_on_only_inside_of_the_modules_that_call_a_tapped_function():
    depths = {}

    class Looking(nn.Identity):
        def forward(self, x):
            depths[self.name] = len(_get_current_function_mode_stack())
            return x

    module = built(Functional())
    module.block.add_module("look", Looking())
    module.block.forward = lambda x: module.block.look(Block.forward(module.block, x))
    module.conv = nn.Sequential(module.conv, Looking())
    module.block.look.name, module.conv[1].name = "in the block", "outside"
    TorchNetwork(module.eval(), SHAPE, taps="block.relu").observe(images())
    assert depths == {"outside": 0, "in the block": 1}


@pytest.mark.parametrize(
    ("brightness", "message"),
    [
        (1000, "expected a call of 'relu' in the module itself, as in the trial run, got no such call; the functions"),
        (60, r"expected a call of 'relu' in the module itself next, as in the trial run, got 'silu'|got no such call"),
    ],
)
def test_other_functions_than_in_the_trial_are_an_error_that_leaves_nothing_behind(brightness, message):
    network = TorchNetwork(built(Choosing()), (6,), classes=None)
    assert [tap.name for tap in network.taps] == ["relu", "relu#2", "gelu"]
    usual = np.abs(images(2, (6,)))
    before = network.observe(usual)
    with pytest.raises(RuntimeError, match=message):
        network.observe(usual + np.float32(brightness))
    assert not _get_current_function_mode_stack()
    for first, second in zip(before.activations, network.observe(usual).activations, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_same_functions_in_another_order_of_callers_are_an_error():
    class Turning(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = Caller(), Caller()

        def forward(self, x):
            first, second = (self.one, self.other) if x.sum() > 0 else (self.other, self.one)
            return second(first(x))

    class Caller(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(6, 6)

        def forward(self, x):
            return functional.relu(self.dense(x))

    network, usual = TorchNetwork(built(Turning()), (6,)), np.abs(images(2, (6,)))
    assert [tap.name for tap in network.taps[:-1]] == ["one.relu", "other.relu"]
    network.observe(usual)
    with pytest.raises(RuntimeError, match="a call of 'relu' in one next, as in the trial run, got 'relu' in other"):
        network.observe(-usual)


def test_another_number_of_runs_is_an_error():
    network = TorchNetwork(built(Untraceable(nn.ReLU())), (6,), taps="@relu")
    usual = np.abs(images(2, (6,)))
    before = network.observe(usual)
    with pytest.raises(RuntimeError, match="expected 'relu' to run 1 times a batch, as in the trial run, got 0"):
        network.observe(usual * np.float32(1e8))
    for first, second in zip(before.activations, network.observe(usual).activations, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_an_exception_in_the_module_leaves_nothing_behind(error):
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return functional.relu(self.inner(functional.relu(x)))

    class Inner(nn.Module):
        def forward(self, x):
            if x.max() > 100:
                raise error("too bright")
            return functional.relu(x - 0.1)

    module = built(Fragile())
    network = TorchNetwork(module, (6,), taps="auto")
    usual = images(2, (6,))
    before = network.observe(usual)
    with pytest.raises(error, match="too bright"):
        network.observe(usual + np.float32(1000))
    assert not _get_current_function_mode_stack()
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    for first, second in zip(before.activations, network.observe(usual).activations, strict=True):
        np.testing.assert_array_equal(first, second)


def test_an_exception_that_the_module_catches_does_not_end_the_watch():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.fails = Failing()
            self.dense = nn.Linear(6, 6)

        def forward(self, x):
            try:
                x = self.fails(x)
            except ArithmeticError:
                x = functional.relu(self.dense(x))
            return functional.relu(x - 0.1)

    class Failing(nn.Module):
        def forward(self, x):
            raise ArithmeticError(float(functional.relu(x).sum()))

    module, batch = built(Careful()), images(2, (6,))
    network = TorchNetwork(module, (6,), taps="auto")
    assert [tap.name for tap in network.taps[:-1]] == ["fails.relu", "relu", "relu#2"]
    with torch.no_grad():
        expected = module(torch.from_numpy(batch))
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, expected)
    np.testing.assert_array_equal(observation.activations[2], expected)


def test_runs_in_other_threads_are_not_read():
    inside, go_on = threading.Event(), threading.Event()

    class Waiting(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            y = functional.relu(self.relu(x) - 0.5)
            if x[0, 0] == 7:
                inside.set()
                assert go_on.wait(10)
            return functional.relu(y - 0.1)

    module = Waiting().eval()
    network = TorchNetwork(module, (4,), taps="auto", classes=None)
    found = []
    batch = images(2, (4,))
    batch[0, 0] = 7
    thread = threading.Thread(target=lambda: found.append(network.observe(batch)))
    thread.start()
    assert inside.wait(10)
    for _ in range(3):
        module(torch.rand(1, 4))
    go_on.set()
    thread.join()
    x = torch.from_numpy(batch)
    for values, expected in zip(
        found[0].activations, (x.relu(), (x.relu() - 0.5).relu(), ((x.relu() - 0.5).relu() - 0.1).relu()), strict=True
    ):
        np.testing.assert_array_equal(values, expected)


def test_the_mode_of_the_application_sees_the_same_functions():
    class Counting(TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.calls += getattr(func, "__name__", "") == "relu"
            return func(*args, **(kwargs or {}))

    module, batch = built(Functional()), images()
    network = TorchNetwork(module, SHAPE)
    with Counting() as counting:
        network.observe(batch)
    assert counting.calls == 3


def test_a_module_that_overwrites_its_input_gets_a_copy():
    module = chain(nn.ReLU(inplace=True), nn.Linear(6, 3))
    network, batch = TorchNetwork(module, (6,)), images(2, (6,))
    before = batch.copy()
    network.observe(batch)
    network.run(batch)
    np.testing.assert_array_equal(batch, before)
