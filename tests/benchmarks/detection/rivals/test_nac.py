from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection.rivals.nac import LAYERS, Coverage, Layer, edges, states
from benchmarks.detection.rivals.nac import _balanced as balanced


def test_a_state_is_the_sigmoid_of_summed_values_times_summed_gradients():
    torch.manual_seed(0)
    conv, dense = torch.nn.Conv2d(1, 2, 1), torch.nn.Linear(2 * 4, 3)
    network = torch.nn.Sequential(conv, torch.nn.Flatten(), dense)
    x = torch.rand(1, 1, 2, 2)
    (found,) = states(network, [conv], (Layer(3.0, 50, 5),), x)
    z = conv(x).detach()
    shares = torch.softmax(dense(z.flatten(1)), 1)[0]
    # Cross-entropy with the uniform distribution: its gradient by the logits is the shares less a third.
    gradient = ((shares - 1 / 3) @ dense.weight).detach().reshape(2, 4)
    expected = [1 / (1 + math.exp(-3 * float(z[0, c].sum() * gradient[c].sum()))) for c in range(2)]
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-5)


def test_edges_mirror_each_other_and_hold_0_and_1():
    found = edges(50).numpy()
    assert len(found) == 50
    assert found[0] == 0
    assert found[-2] == pytest.approx(1.01)
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(found[1:24], 1 - found[25:48][::-1], atol=1e-12)
    assert found[1] == pytest.approx(math.log(1 + (math.sqrt(1000) - 1) / 24, 1000))


def test_coverage_counts_hits_up_to_enough():
    torch.manual_seed(1)
    layers = [torch.nn.Linear(4, 3) for _ in range(4)]
    coverage = Coverage(_chain(layers), layers)
    assert coverage.settings == LAYERS
    x = torch.rand(1, 4)
    coverage.learn(x.repeat(7, 1))
    coverage.learn(x)
    # Each neuron's bin was hit eight times, of 100, 5, 100 and 50 that are enough.
    assert float(coverage.of(x)[0]) == pytest.approx((0.08 + 1 + 0.08 + 0.16) / 4)
    assert float(coverage.of(-20 * x)[0]) < float(coverage.of(x)[0])


def _chain(layers: list[torch.nn.Linear]) -> torch.nn.Module:
    parts: list[torch.nn.Module] = []
    for layer in layers:
        parts += [layer, torch.nn.ConstantPad1d((0, 1), 0.5)]
    return torch.nn.Sequential(*parts, torch.nn.Linear(4, 2))


def test_profiled_images_are_balanced():
    labels = np.repeat([0, 1, 2], [500, 40, 60])
    rows = balanced(labels, 120)
    assert np.bincount(labels[rows]).tolist() == [40, 40, 40]
    assert len(set(rows)) == 120
