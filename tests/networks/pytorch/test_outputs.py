"""Which output holds the class scores, and how many classes there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.networks import TorchNetwork, check_network  # noqa: E402

from .modules import SHAPE, built, chain, conv_net, images  # noqa: E402


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


@dataclass
class Record:
    box: torch.Tensor
    scores: torch.Tensor
    unit: str = "pixel"


@pytest.mark.parametrize(
    ("pack", "logits"),
    [
        (Pair, 1),
        (Pair, "scores"),
        (Record, "scores"),
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


def test_a_record_of_a_frame_has_no_batch_axes():
    network = TorchNetwork(built(Heads(Record)), (6,), scores_output="scores")
    output = network.run(images(1, (6,)))
    bare = network.unbatched(output)
    assert torch.equal(bare.box, output.box[0])
    assert (bare.scores.shape, output.scores.shape, bare.unit) == ((3,), (1, 3), "pixel")
    check_network(network)


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


class Ending(nn.Module):
    """Scores of a linear layer of 4 numbers behind a ReLU, ended by a function."""

    def __init__(self, end, classes):
        super().__init__()
        self.relu, self.last, self.end = nn.ReLU(), nn.Linear(4, classes), end

    def forward(self, x):
        return self.end(self.last(self.relu(x)))


def _two_heads(z):
    return torch.stack([z.softmax(1), (2 * z).softmax(1)]).mean(0)


@pytest.mark.parametrize(
    ("end", "outputs", "scores"),
    [
        (lambda z: 1 - z.sigmoid(), 1, "probabilities"),
        (lambda z: z.sigmoid().clamp(1e-6, 1), 1, "probabilities"),
        (lambda z: z.softmax(1)[:, 1], 2, "probabilities"),
        (lambda z: z.softmax(1) + 1e-7, 2, "probabilities"),
        (lambda z: z.softmax(1).clamp(1e-7, 1), 2, "probabilities"),
        (_two_heads, 2, "probabilities"),
        (lambda z: z.exp() / z.exp().sum(1, keepdim=True), 2, "probabilities"),
        (lambda z: 1 - z, 1, "logits"),
        (lambda z: z.clamp(-5, 5) / 2 + 1, 2, "logits"),
        (lambda z: z.softmax(1) + 0.5, 2, "logits"),
    ],
)  # fmt: skip
def test_probabilities_are_known_behind_what_changes_their_numbers(end, outputs, scores):
    torch.manual_seed(0)
    network = TorchNetwork(Ending(end, outputs).eval(), input_shape=(4,), classes=2)
    assert network.scores == scores
