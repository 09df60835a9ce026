"""Modules whose class scores are a map, and neurons taken place by place."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.networks import Tap, TorchNetwork, check_network  # noqa: E402
from outrider.networks.neurons import reduce_to_neurons  # noqa: E402


class Segmenter(nn.Module):
    """(n, 3, 8, 8) -> {"aux": (n, 2), "out": (n, 4, 8, 8)}"""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Conv2d(5, 4, 1)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x):
        hidden = self.relu(self.conv(x))
        return {"aux": hidden.mean((2, 3))[:, :2], "out": self.up(self.head(hidden))}


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)


def test_places_of_a_module_are_those_of_its_map(batch):
    module = Segmenter().eval()
    with TorchNetwork(module, (3, 8, 8), taps="relu", neurons="pixel", classes=None) as network:
        (places,) = network.observe(batch).activations
    with torch.no_grad():
        hidden = module.relu(module.conv(torch.from_numpy(batch))).numpy()
    tap = Tap("relu", "relu", (5, 4, 4), "NCHW", "float32", "pixel")
    assert network.taps == (tap,)
    np.testing.assert_array_equal(places, reduce_to_neurons(tap, hidden))
    assert places.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(places[4 * 4 + 4 + 2], hidden[1, :, 1, 2])


def test_places_that_a_later_module_overwrites_are_copied(batch):
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)).eval()
    with TorchNetwork(module, (3, 8, 8), taps="0", neurons="pixel", classes=None) as network:
        (places,) = network.observe(batch).activations
    with torch.no_grad():
        expected = module[0](torch.from_numpy(batch)).permute(0, 2, 3, 1).reshape(-1, 4)
    np.testing.assert_array_equal(places, expected)


@pytest.mark.parametrize("logits", ["out", 1])
def test_a_module_gives_the_scores_of_its_places(batch, logits):
    module = Segmenter().eval()
    with TorchNetwork(module, (3, 8, 8), taps="relu", classes="pixel", scores_output=logits) as network:
        seen = network.observe(batch)
    assert (network.classes, network.map_classes, network.scores_output) == (None, 4, logits)
    assert seen.logits is None
    np.testing.assert_array_equal(seen.score_map, seen.output["out"])
    assert [tap.kind for tap in network.taps] == ["relu"]


def test_scores_that_are_no_map_are_refused():
    with pytest.raises(ValueError, match=r"expected a map of the scores of 2 classes or more, .* got \(2, 2\)"):
        TorchNetwork(Segmenter().eval(), (3, 8, 8), taps="relu", classes="pixel", scores_output=0)
    with pytest.raises(ValueError, match="expected scores_output= to say which of several outputs has 'pixel'"):
        TorchNetwork(Segmenter().eval(), (3, 8, 8), taps="relu", classes="pixel")


@pytest.mark.parametrize(
    ("says", "scores"),
    [
        (lambda x: x.softmax(1), "probabilities"),
        (lambda x: (x.softmax(1) + x.flip(1).softmax(1)) / 2, "probabilities"),
        (lambda x: x.softmax(1).log(), "logits"),
        (lambda x: x, "logits"),
    ],
)
def test_maps_of_probabilities_are_known_for_such(says, scores):
    class Saying(Segmenter):
        def forward(self, x):
            return says(super().forward(x)["out"])

    torch.manual_seed(0)
    with TorchNetwork(Saying().eval(), (3, 8, 8), taps="relu", classes="pixel") as network:
        assert (network.scores, network.map_classes) == (scores, 4)


class Other(Segmenter):
    """A part of it bears the name that the class scores have elsewhere."""

    def __init__(self):
        super().__init__()
        self.output = nn.ReLU()

    def forward(self, x):
        found = super().forward(x)
        return {"aux": found["aux"], "out": self.output(found["out"])}


@pytest.mark.parametrize("named", [False, True])
def test_class_scores_of_places_are_a_tap(batch, named):
    module, name = Segmenter().eval(), "output"
    if named:
        module, name = Other().eval(), "output#logits"
    options = {"classes": "pixel", "scores_output": "out"}
    taps = ("relu:pixel2", f"{name}:pixel", "@output:pixel3")
    with TorchNetwork(module, (3, 8, 8), taps=taps, **options) as network:
        own = [Tap(name, "output", (4, 8, 8), "NCHW", "float32", neurons) for neurons in ("pixel", "pixel3")]
        assert network.taps[1:] == tuple(own)
        seen = network.observe(batch)
        for tap, values in zip(own, seen.activations[1:], strict=True):
            expected = reduce_to_neurons(tap, seen.output["out"].numpy())
            np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    check_network(TorchNetwork(module, (3, 8, 8), taps=taps, **options))


def test_class_scores_of_a_map_are_tapped_where_they_are_asked_for(batch):
    module, options = Segmenter().eval(), {"classes": "pixel", "scores_output": "out"}
    with TorchNetwork(module, (3, 8, 8), taps=("*", "auto"), **options) as network:
        assert "output" not in {tap.kind for tap in network.taps}
    for neurons, expected in (("channel", ["pixel"]), (("unit", "pixel4"), ["pixel4"])):
        with TorchNetwork(module, (3, 8, 8), taps="@output", neurons=neurons, **options) as network:
            assert [tap.neurons for tap in network.taps] == expected
            assert network.observe(batch).activations[0].shape == (3 * (64 if expected == ["pixel"] else 4), 4)
