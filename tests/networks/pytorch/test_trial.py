"""Trial runs: they leave a module as it was, and tell what there is to see."""

from __future__ import annotations

import copy
import random
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import NetworkWarning, TorchNetwork  # noqa: E402
from outrider.networks.pytorch.arguments import ways_to_call  # noqa: E402
from outrider.networks.pytorch.trial import Trial, TrialError  # noqa: E402

from .modules import SHAPE, Untraceable, built, chain, conv_net, images  # noqa: E402


def trial_of(module, shape=SHAPE):
    return Trial(module, next(ways_to_call(module, shape, None)))


class Counter(nn.Module):
    """Keeps a number, a tensor and a list from frame to frame, and a buffer in place."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(6, 6)
        self.register_buffer("mean", torch.zeros(6))
        self.frames, self.last, self.log = 0, None, []

    def forward(self, x):
        self.frames += 1
        self.log.append(len(x))
        self.mean.mul_(0.5).add_(x.mean(0))
        self.last = functional.relu(self.dense(x)) + (0 if self.last is None else self.last.mean())
        return self.last


class Rolling(nn.Module):
    """Uses the random numbers of Python and numpy."""

    def forward(self, x):
        return functional.relu(x) * random.random() * np.random.random()  # noqa: NPY002, S311


class Lazy(nn.Module):
    """Makes something ready in its first run."""

    def __init__(self):
        super().__init__()
        self.dense, self.scale = nn.Linear(6, 6), None

    def forward(self, x):
        if self.scale is None:
            self.scale = torch.full((6,), 2.0)
        return functional.relu(self.dense(x)) * self.scale


def state_of(module):
    return {name: copy.deepcopy(value) for name, value in vars(module).items() if not name.startswith("_")}


def test_a_module_that_keeps_something_is_as_it_was_and_told_of():
    module = built(Counter())
    before = state_of(module)
    with pytest.warns(NetworkWarning, match=r"keeps something from frame to frame, 'mean', 'frames', 'last'"):
        network = TorchNetwork(module, (6,))
    assert state_of(module) == before
    assert not module.mean.any()
    batch, twin = images(2, (6,)), copy.deepcopy(module)
    for _ in range(3):
        found = network.observe(batch)
        with torch.no_grad():
            np.testing.assert_array_equal(found.output, twin(torch.from_numpy(batch)))
    assert (module.frames, module.log) == (3, [2, 2, 2])
    assert torch.equal(module.mean, twin.mean)
    (module.last.sum() * nn.Parameter(torch.ones(1))).backward()  # what it keeps is an ordinary tensor


def test_what_a_first_run_makes_ready_is_nothing_that_moves():
    module = built(Lazy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = TorchNetwork(module, (6,))
    assert module.scale is None
    network.observe(images(2, (6,)))
    assert module.scale is not None
    assert not module.scale.is_inference()  # a module that was watched can be trained
    assert TorchNetwork(module, (6,)).fingerprint == network.fingerprint
    module.scale *= 2
    assert TorchNetwork(module, (6,)).fingerprint != network.fingerprint


def test_the_random_numbers_of_the_application_go_on():
    module = built(nn.Sequential(Untraceable(), nn.Dropout()))
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    TorchNetwork(module, (6,), taps="@relu")
    assert torch.equal(torch.rand(4), expected)
    before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002 - what a module may use
    with pytest.warns(NetworkWarning, match="draws random numbers"):
        TorchNetwork(Rolling().eval(), (6,), taps="@relu")
    assert (random.getstate(), repr(np.random.get_state())) == before  # noqa: NPY002


def test_a_module_that_is_random_stays_so():
    class Noisy(nn.Module):
        def forward(self, x):
            return functional.relu(x) + torch.randn_like(x)

    with pytest.warns(NetworkWarning, match="the module draws random numbers in every run"):
        network = TorchNetwork(Noisy().eval(), (6,))
    batch = images(2, (6,))
    torch.manual_seed(5)
    first, second = network.observe(batch).output, network.observe(batch).output
    torch.manual_seed(5)
    with torch.no_grad():
        assert torch.equal(first, Noisy()(torch.from_numpy(batch)))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("made", ["module", "network", "shape"])
def test_what_is_made_in_inference_mode_is_watched_too(made):
    batch = images(2, (6,))
    with torch.inference_mode(made == "module"):
        module = chain(nn.Linear(6, 6), nn.ReLU(inplace=True), nn.Linear(6, 3))
    with torch.inference_mode(made != "module"):
        network = TorchNetwork(module, (6,) if made == "network" else None, taps="0", neurons="unit")
        observation = network.observe(batch)
    with torch.no_grad():
        np.testing.assert_array_equal(observation.activations[0], module[0](torch.from_numpy(batch)))


def test_a_module_that_computes_gradients_is_watched():
    class Descending(nn.Module):
        def forward(self, x):
            with torch.enable_grad():
                x = x.clone().requires_grad_()
                (slope,) = torch.autograd.grad(functional.silu(x).sum(), x)
            return slope

    module, batch = Descending().eval(), images(2, (6,))
    seen = TorchNetwork(module, (6,)).observe(batch)
    with torch.no_grad():
        assert torch.equal(seen.output, module(torch.from_numpy(batch)))
    np.testing.assert_array_equal(seen.activations[0], functional.silu(torch.from_numpy(batch)))


def test_tensors_without_a_memory_of_their_own_do_no_harm():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.table = nn.Linear(6, 6), torch.eye(6).to_sparse()

        def forward(self, x):
            rows = torch.vmap(lambda row: functional.relu(row - 0.1))(self.dense(x))
            return functional.relu(torch.sparse.mm(self.table, rows.mT).mT)

    module, batch = built(Odd()), images(2, (6,))
    network = TorchNetwork(module, (6,))
    assert [(c.name, bool(c.obstacle)) for c in network.candidates[1:3]] == [("relu", True), ("relu#2", False)]
    with torch.no_grad():
        np.testing.assert_array_equal(network.observe(batch).activations[0], module(torch.from_numpy(batch)))


def test_frames_that_a_module_does_not_take_are_an_error_that_leaves_nothing_behind():
    module = conv_net()
    with pytest.raises(TrialError, match=r"takes a batch of shape \(2, 1, 8, 8\), got RuntimeError"):
        trial_of(module, (1, 8, 8))
    assert not any(part._forward_hooks for part in module.modules())


def test_a_module_of_one_frame_only_is_told_what_to_do():
    class One(nn.Module):
        def forward(self, x):
            return functional.relu(x.reshape(2, 3))

    with pytest.raises(TrialError, match=r"got RuntimeError.*; it takes one frame alone: export it to ONNX"):
        trial_of(One().eval(), (6,))


def test_a_module_of_two_frames_only_is_tried_on_two():
    class Pair(nn.Module):
        def forward(self, x):
            return functional.relu(x.reshape(2, 6))

    trial = trial_of(Pair().eval(), (6,))
    assert trial.again is None
    assert [c.name for c in trial.candidates if not c.obstacle] == ["relu"]


def test_names_of_functions_do_not_hide_modules():
    class Clash(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.Linear(6, 6)

        def forward(self, x):
            return self.relu(functional.relu(x))

    network = TorchNetwork(built(Clash()), (6,), taps="*")
    assert [(tap.name, tap.kind) for tap in network.taps[:-1]] == [("relu#function", "relu"), ("relu", "linear")]


@pytest.mark.parametrize("how", ["torch.compile", "in place", "a part"])
def test_a_compiled_module_gives_its_own_output_and_runs_once_more_for_its_taps(how):
    plain = conv_net()
    module = copy.deepcopy(plain)
    if how == "torch.compile":
        module = torch.compile(module, backend="eager")
    elif how == "in place":
        module.compile(backend="eager")
    else:
        module[3] = torch.compile(module[3], backend="eager")
    expected = TorchNetwork(plain, SHAPE)
    with pytest.warns(NetworkWarning, match="a compiled module runs twice"):
        network = TorchNetwork(module, SHAPE)
    assert network.taps == expected.taps
    batch = images()
    found, wanted = network.observe(batch), expected.observe(batch)
    with torch.inference_mode():
        assert torch.equal(found.output, module(torch.from_numpy(batch)))
    for one, other in zip(found.activations, wanted.activations, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_fused_path_is_left_for_the_taps_alone():
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
    module = built(nn.TransformerEncoder(layer, 2))
    batch = images(2, (7, 16))
    with torch.no_grad():
        expected = module(torch.from_numpy(batch))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network = TorchNetwork(module, (7, 16), classes=None)
    assert [tap.name for tap in network.taps] == [
        *2 * ["layers.0.relu"], *2 * ["layers.1.relu"],
    ]  # fmt: skip
    assert torch.equal(network.observe(batch).output, expected)
    assert network._apart == any("leaves a fused path" in str(one.message) for one in told)


def test_what_cannot_be_tapped_says_why():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.deep = nn.Unflatten(1, (1, 1, 1, -1))

        def forward(self, x):
            x = self.attention(x, x, x)[0]
            return self.relu(x).sum(), self.deep(x)

    module = built(Odd())
    for name, message in (
        ("attention", "'attention' cannot be tapped: expected a module that returns a tensor, got tuple"),
        ("deep", r"got 6 axes: \(2, 1, 1, 1, 4, 6\)"),
    ):
        with pytest.raises(ValueError, match=message):
            TorchNetwork(module, (4, 6), taps=name)


class Views(nn.Module):
    """Several views a frame, each by itself, and then together."""

    def __init__(self):
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 2)

    def forward(self, x):
        frames, views = x.shape[:2]
        seen = self.act(self.conv(x.flatten(0, 1))).mean((2, 3))
        return self.head(seen.reshape(frames, views, -1).mean(1))


class Regions(nn.Module):
    """As many regions as there are bright places."""

    def __init__(self):
        super().__init__()
        self.act, self.head = nn.ReLU(), nn.Linear(3, 2)

    def forward(self, x):
        found = x.movedim(1, -1).reshape(-1, 3)[(x.amax(1) > 0.9).reshape(-1)]
        return self.head(self.act(found))


def test_rows_that_belong_to_frames_are_rows():
    network = TorchNetwork(built(Views()), (5, 3, 8, 8), taps="act")
    assert [(tap.shape, tap.rows) for tap in network.taps] == [((4, 6, 6), 5), ((2,), 1)]
    assert network.observe(images(3, (5, 3, 8, 8))).activations[0].shape == (15, 4)


def test_rows_that_vary_are_counted_frame_by_frame():
    module, batch = built(Regions()), np.clip(images(4), 0, 1)
    network = TorchNetwork(module, SHAPE, taps="act", classes=None)
    assert network.taps[0].rows is None
    counts = (batch.max(1) > 0.9).reshape(4, -1).sum(1)
    seen = network.observe(batch)
    np.testing.assert_array_equal(seen.rows[0], counts)
    assert seen.activations[0].shape == (counts.sum(), 3)
    with torch.no_grad():
        assert torch.equal(seen.output, module(torch.from_numpy(batch)))
    np.testing.assert_array_equal(network.observe(batch[1:2]).rows[0], counts[1:2])
