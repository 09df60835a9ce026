"""A tiny convolutional network, whose monitors are attacked."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.monitor import Monitor  # noqa: E402
from outrider.networks import TorchNetwork  # noqa: E402

SHAPE, CLASSES = (1, 8, 8), 3
NEURONS = ("unit", "channel", "grid2")


def convolutional(seed=0):
    torch.manual_seed(seed)
    layers = (
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(128, 12), nn.ReLU(), nn.Linear(12, CLASSES),
    )  # fmt: skip
    return nn.Sequential(*layers).eval()


def pictures(n, seed=0):
    """Images in [0, 1], (n, *SHAPE): a bright square of each class in its own corner, and grain."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    images = rng.uniform(0, 0.35, (n, *SHAPE)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(0, 3, 2) + ((0, 0), (0, 3), (3, 1))[label]
        image[0, top : top + 3, left : left + 3] += rng.uniform(0.3, 0.6)
    return images, labels


def calibrated(network, criteria=None, logic=None, rate=0.05, n=600, **options):
    monitor = Monitor(network, criteria, logic=logic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([pictures(n, 1)], trusted_confidence=0.5)
        monitor.calibrate([pictures(n, 2)], rate, accept_rate=0.5, **options)
    return monitor


@pytest.fixture(scope="session")
def module():
    """Trained for a second; it is right on nearly all pictures."""
    net = convolutional().train()
    images, labels = (torch.from_numpy(each) for each in pictures(1500, 9))
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(5):
        for x, y in zip(images.split(100), labels.split(100), strict=True):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimiser.step()
    return net.eval()


@pytest.fixture
def network(module):
    return TorchNetwork(module, SHAPE, neurons=NEURONS)
