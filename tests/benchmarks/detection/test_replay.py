from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection.replay import Replay
from outrider.coverage import Gaussian, NeuronRank
from outrider.monitor import Monitor, OutriderWarning, ZScore
from outrider.networks import LeNet, TorchNetwork


def test_monitors_on_what_is_remembered_are_those_on_the_network():
    torch.manual_seed(0)
    images = np.random.default_rng(0).random((120, 1, 8, 8)).astype(np.float32)
    parts = [images[:50], images[50:100], images[100:]]
    network = TorchNetwork(LeNet(size=8, classes=3).eval(), (1, 8, 8), taps="auto", neurons="channel")
    replay = Replay(network)
    passes = []
    for criterion in (Gaussian(), NeuronRank()):
        found = []
        for source in (replay, network):
            monitor = Monitor(source, criterion, logic=ZScore())
            monitor.profile([parts[0]], minimum_per_class=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OutriderWarning)  # 50 frames leave a profile that knows its own
                monitor.calibrate([parts[1]], 0.2, accept_rate=1)
            found.append((monitor.scores(parts[2]), monitor.scores(parts[2][::-1])))
        np.testing.assert_array_equal(found[0], found[1])
        passes.append(replay.passes)
    assert passes[1] == passes[0] > 0
