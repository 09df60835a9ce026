"""Adversarial training: the attack stays in its ball and raises the loss, and the training learns to bear it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from outrider.networks.zoo import adversarial
from outrider.networks.zoo.adversarial import attacked, fit_robust, has_bfloat16

EPSILON = 0.1


def striped(n, seed):
    """Images of two classes in noise, which are the same when mirrored or moved: upright or level stripes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    rows, columns = np.indices((8, 8)) % 2
    bright = np.where(labels[:, None, None, None] == 1, rows, columns)
    return (rng.integers(0, 60, (n, 1, 8, 8)) + 150 * bright).astype(np.uint8), labels


@pytest.fixture
def module():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    return torch.nn.Sequential(*layers, torch.nn.Linear(8, 2))


def test_the_attack_stays_in_its_ball_and_raises_the_loss(module):
    images, labels = striped(32, 0)
    x, y = torch.from_numpy(images).float() / 255, torch.from_numpy(labels)
    moved = attacked(module, x, y, EPSILON, 5, enabled=False)
    assert (moved - x).abs().max() <= EPSILON + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert not moved.requires_grad
    losses = functional.cross_entropy(module(moved), y), functional.cross_entropy(module(x), y)
    assert losses[0] > losses[1]


def test_what_was_trained_so_bears_the_attack(module):
    images, labels = striped(512, 1)
    lines = []
    fit_robust(module, images, labels, epsilon=EPSILON, steps=3, epochs=12, batch_size=64, report=lines.append)
    assert len(lines) == 12
    assert not module.training
    images, labels = striped(200, 2)
    x, y = torch.from_numpy(images).float() / 255, torch.from_numpy(labels)
    moved = attacked(module, x, y, EPSILON, 10, enabled=False)
    assert (module(moved).argmax(1) == y).float().mean() > 0.9


@pytest.mark.parametrize("shift", [0, 2])
def test_images_are_mirrored_and_moved_only_as_far_as_told(shift):
    torch.manual_seed(0)
    batch = torch.arange(64 * 20).reshape(64, 1, 4, 5) + 1
    found = set()
    for after, before in zip(adversarial._augmented(batch, shift), batch, strict=True):
        for image in (before, before.flip(-1)):
            padded = functional.pad(image, (shift,) * 4)
            found |= {
                (t, u)
                for t in range(2 * shift + 1)
                for u in range(2 * shift + 1)
                if torch.equal(after, padded[:, t : t + 4, u : u + 5])
            }
    assert found == ({(0, 0)} if shift == 0 else found)
    assert len(found) > 10 or shift == 0


@pytest.mark.parametrize(("told", "has"), [({"amx_bf16": True}, True), ({"avx512_bf16": False}, False), (None, False)])
def test_a_processor_tells_whether_it_computes_in_bfloat16(monkeypatch, told, has):
    if told is None:  # an older PyTorch
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert has_bfloat16() is has
