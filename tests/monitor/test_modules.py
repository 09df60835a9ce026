"""PyTorch modules of every kind, from profile to file to guard."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.monitor import MismatchError, Monitor, OutriderWarning, Status  # noqa: E402
from outrider.networks import TorchNetwork  # noqa: E402
from outrider.runtime import Guard  # noqa: E402


class Bytes(nn.Module):
    """Takes bytes or floats, and says probabilities."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(12, 3)

    def forward(self, x):
        return functional.relu(self.dense((x.float() / 255).flatten(1))).softmax(1)


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.dense, self.head = nn.Conv2d(3, 4, 1), nn.Linear(2, 4), nn.Linear(4, 3)

    def forward(self, camera, speed):
        return {
            "logits": self.head(functional.relu(self.conv(camera).mean((2, 3)) + self.dense(speed))),
            "speed": speed,
        }


class Views(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.act(self.conv(x.flatten(0, 1))).mean((2, 3)).reshape(*x.shape[:2], -1).mean(1))


RNG = np.random.default_rng(0)


def pictures(n):
    return RNG.integers(0, 256, (n, 3, 2, 2), np.uint8)


def two(n):
    return {"camera": RNG.random((n, 3, 4, 4), np.float32), "speed": RNG.random((n, 2), np.float32)}


def views(n):
    return RNG.random((n, 5, 3, 4, 4), np.float32)


def first(batch, i=0):
    return {name: array[i] for name, array in batch.items()} if isinstance(batch, dict) else batch[i]


KINDS = {
    "bytes": (Bytes, pictures, {"input_shape": (3, 2, 2), "dtype": "uint8"}, "probabilities"),
    "several inputs": (Fusion, two, {"input_shape": {"camera": (3, 4, 4), "speed": (2,)}}, "logits"),
    "views": (Views, views, {"input_shape": (5, 3, 4, 4), "classes": 2}, "logits"),
}


@pytest.mark.parametrize(("kind", "frames", "options", "scores"), KINDS.values(), ids=KINDS)
def test_a_module_is_profiled_saved_and_guarded(tmp_path, kind, frames, options, scores):
    torch.manual_seed(0)
    module = kind().eval()
    network = TorchNetwork(module, **options)
    assert (network.scores, network.classes) == (scores, 2 if kind is Views else 3)
    monitor = Monitor(network)
    monitor.profile(frames(400), minimum_per_class=0)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "1 of 3 classes alarm far more often", OutriderWarning
        )  # it predicts one thrice
        monitor.calibrate(frames(300), 0.05)
    path = tmp_path / "m.outrider"
    monitor.save(path)
    again = Monitor.load(path, module)
    assert again.network.inputs == network.inputs
    assert (again.network.scores, again.network.taps) == (scores, network.taps)
    batch = frames(20)
    output, verdicts = again.check(batch)
    np.testing.assert_array_equal(verdicts.score, monitor.check(batch)[1].score)
    with torch.no_grad():
        expected = network.run(batch)
    with Guard(again) as guard:
        for i in range(3):
            own, verdict = guard(first(batch, i))
            assert verdict.status in (Status.OK, Status.ALARM), verdict.reason
            bare = network.unbatched(network.run(_one(batch, i)))
            assert _equal(own, bare)
    assert _equal(output, expected)
    with torch.no_grad():
        next(module.parameters()).add_(1)
    with pytest.raises(MismatchError, match="SHA-256"):
        Monitor.load(path, module)


def _one(batch, i):
    return {n: a[i : i + 1] for n, a in batch.items()} if isinstance(batch, dict) else batch[i : i + 1]


def _equal(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return torch.equal(one, other)


class Words(nn.Module):
    """Its layers are called as words of selectors are that mean others of them."""

    def __init__(self):
        super().__init__()
        self.stages, self.first, self.last = nn.Conv2d(3, 4, 1), nn.ReLU(), nn.ReLU()
        self.dense = nn.Linear(4, 3)

    def forward(self, x):
        return self.dense(self.last(self.first(self.stages(x)).mean((2, 3))))


def test_a_profile_finds_layers_that_are_called_as_words_are(tmp_path):
    module = Words().eval()
    network = TorchNetwork(module, input_shape=(3, 2, 2), taps=["*"])
    assert {"stages:channel", "first:channel", "last:unit"} <= {tap.id for tap in network.taps}
    monitor = Monitor(network, "single_range", logic="sum")
    frames = RNG.random((60, 3, 2, 2), np.float32)
    monitor.profile([frames], minimum_per_class=0)
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", module)
    assert again.network.taps == network.taps
    np.testing.assert_array_equal(again.deviations(frames + 1), monitor.deviations(frames + 1))
