"""Small modules and calibrated monitors of them, for the tests of guarded modules."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from outrider.monitor import Monitor
from outrider.networks import TorchNetwork

SHAPE = (3, 12, 12)


class Small(nn.Module):
    """Two convolutions; one ReLU module runs twice, or a function does. classes: None for a regression."""

    def __init__(self, classes=4, *, functions=False, inplace=True):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.relu = nn.Conv2d(8, 12, 3, stride=2), nn.ReLU(inplace=inplace)
        self.head = nn.Linear(12, classes or 1)
        self.functions = functions

    def forward(self, x):
        relu = functional.relu if self.functions else self.relu
        x = relu(self.norm(self.conv1(x)))
        x = relu(self.conv2(x))
        return self.head(x.mean((2, 3)))


class Two(nn.Module):
    """A picture and a state."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(10, 3)

    def forward(self, picture, state):
        return self.head(torch.cat([self.relu(self.conv(picture)).mean((2, 3)), state], 1))


def frames(n=40, seed=0, reach=1.0):
    """Noise of several kinds of brightness, so that a network with random weights sees several classes."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (n, *SHAPE)) * rng.uniform(0.2, reach + 0.2, (n, 1, 1, 1)) + rng.normal(
        0, 1, (n, 3, 1, 1)
    )
    return values.astype(np.float32)


def small(seed=0, **options):
    torch.manual_seed(seed)
    return Small(**options).eval()


def learned(module, criteria=None, logic=None, **options):
    """A calibrated monitor of a module; a class that is too thin stays so."""
    options = {"classes": None, **options} if module.head.out_features == 1 else options
    monitor = Monitor(TorchNetwork(module, SHAPE, **options), criteria, logic=logic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([frames(100, seed) for seed in range(4)])
        monitor.calibrate([frames(100, seed) for seed in range(4, 8)], false_alarm_rate=0.1)
    return monitor


def asked(seed=50, n=24):
    """Frames near and far; one holds NaN, one Inf."""
    found = frames(n, seed, reach=4.0)
    found[3, 1, 2, 2], found[4, 0, 0, 0] = np.nan, np.inf
    return found


def hold(judged, verdicts, rtol=1e-4):
    """Hold what a device says to the verdicts of the host."""
    score, deviations = judged.score.numpy(), judged.deviations.numpy()
    broken = verdicts.status == 3
    np.testing.assert_allclose(score, verdicts.score, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(deviations[~broken], verdicts.deviation[~broken], rtol=rtol, atol=1e-5)
    assert np.isinf(deviations[broken]).all()
    close = np.abs(verdicts.score - verdicts.threshold) <= 1e-4 * np.maximum(verdicts.threshold, 1)
    np.testing.assert_array_equal(judged.alarm.numpy() | close, verdicts.alarm | close)
