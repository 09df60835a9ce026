"""Neuron activation coverage (Liu et al., ICLR 2024), as the authors' public code has it.

The state of a neuron is the sigmoid of alpha · z · ∂KL/∂z, z summed over the map and the gradient summed over the map;
KL is that of the uniform distribution and the softmax. Its values fall into M - 1 bins, which are narrow near 0 and
1. A bin counts as covered by as much as it was hit, at most once O times. An image has the coverage of its bins, the
mean over neurons and layers. pytorch-ood's NACUE multiplies before it sums, has other bins and one setting for all.
alpha, M and O of each layer are those of the authors' configuration for CIFAR-10 with ResNet-18. There they were chosen
with images of other sets in view; here nothing was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .rival import OF_GRADIENTS, Ground, Loader, Rival, Scorer, in_batches

PACKAGE = ""
VERSION = ""
LEFT_OUT: dict[str, str] = {}
PROFILED = 1000
LIMIT = 1000
BASE = 1e3


class Layer(NamedTuple):
    """alpha: the steepness of the sigmoid. bins: M. enough: O, the hits with which a bin is covered."""

    alpha: float
    bins: int
    enough: int


LAYERS = (Layer(0.001, 500, 100), Layer(0.001, 50, 5), Layer(1000, 500, 100), Layer(100, 50, 50))
"""Those of the published ResNet-18, the last one that of the pooled features."""


def rivals() -> list[Rival]:
    text = "four layers with the authors' settings for CIFAR-10 and ResNet-18; 1,000 images profiled, as there"
    return [Rival("NAC-UE, the authors' form", text, _fit, LIMIT, PROFILED)]


def _fit(ground: Ground) -> Scorer:
    balanced = _balanced(ground.labels, PROFILED)
    coverage = Coverage(ground.parts.whole, _watched(ground))
    for x, _ in Loader(np.ascontiguousarray(ground.images[balanced]), ground.labels[balanced], OF_GRADIENTS):
        coverage.learn(x)
    return lambda images: in_batches(lambda x: -coverage.of(x), images, OF_GRADIENTS)


def _watched(ground: Ground) -> list[nn.Module]:
    """As many layers as there are settings: the last three ends of stages that are not read as features, and these."""
    chain = list(ground.parts.whole)
    stages = chain[: len(ground.parts.stages) - 1][-(len(LAYERS) - 1) :]
    return [*stages, chain[-2]]


def _balanced(labels: np.ndarray, count: int) -> np.ndarray:
    """Rows with as many of each class, chosen at random."""
    order = np.random.default_rng(1).permutation(len(labels))
    classes = np.unique(labels)
    each = max(1, count // len(classes))
    return np.sort(np.concatenate([order[labels[order] == c][:each] for c in classes]))


@dataclass
class Coverage:
    """The states that were seen, of the outputs of some modules of a network that gives logits."""

    network: nn.Module
    modules: list[nn.Module]
    hits: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = LAYERS[-len(self.modules) :]
        self.edges = [edges(setting.bins) for setting in self.settings]

    def learn(self, x: Tensor) -> None:
        """Count the bins of a batch."""
        for place, bins in enumerate(self._bins(x)):
            if place == len(self.hits):
                self.hits.append(torch.zeros(bins.shape[1], len(self.edges[place]) - 1))
            self.hits[place].scatter_add_(1, bins.T, torch.ones(bins.T.shape))

    def of(self, x: Tensor) -> Tensor:
        """The coverage of a batch, (n,), the mean over neurons and layers."""
        covered = [
            (hits / setting.enough).clamp(max=1).gather(1, bins.T).mean(0)
            for hits, setting, bins in zip(self.hits, self.settings, self._bins(x), strict=True)
        ]
        return torch.stack(covered).mean(0)

    def _bins(self, x: Tensor) -> list[Tensor]:
        """The bin of each neuron, (n, neurons) int64 for each layer."""
        return [
            (torch.bucketize(state, own, right=True) - 1).clamp(0, len(own) - 2)
            for state, own in zip(states(self.network, self.modules, self.settings, x), self.edges, strict=True)
        ]


def states(network: nn.Module, modules: list[nn.Module], settings: tuple[Layer, ...], x: Tensor) -> list[Tensor]:
    """The state of each neuron, (n, neurons) float64 in [0, 1] for each module."""
    kept: list[Tensor] = []
    handles = [module.register_forward_hook(lambda _m, _i, out: kept.append(out)) for module in modules]
    try:
        with torch.enable_grad():
            logits = network(x)
            loss = -torch.log_softmax(logits, -1).mean(-1).sum()
            gradients = torch.autograd.grad(loss, kept)
    finally:
        for handle in handles:
            handle.remove()
    return [
        torch.sigmoid(setting.alpha * (_summed(z.detach()) * _summed(gradient)).double())
        for setting, z, gradient in zip(settings, kept, gradients, strict=True)
    ]


def _summed(values: Tensor) -> Tensor:
    return values.sum((2, 3)) if values.ndim == 4 else values


def edges(count: int) -> Tensor:
    """The edges of the bins: logarithms to the base 1,000 of even steps from 1 to its root, and their mirror image."""
    left = np.emath.logn(BASE, np.linspace(1, np.sqrt(BASE), num=count // 2))
    both = np.concatenate([left[:-1], (1 - left)[::-1]])
    both[-1] += 1e-2
    return torch.from_numpy(np.append(both, 1.2))
