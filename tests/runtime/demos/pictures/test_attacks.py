"""Attacks: small steps that change the answer, the same on every run."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchattacks")

import torch

from outrider.runtime.demos.pictures.attacks import ATTACKS, attack, classify


@pytest.fixture(scope="module")
def attacked():
    """A linear network of three classes, eight images and the classes it gives them; on one thread, as in the demo."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 3)).eval()
    images = np.random.default_rng(0).random((8, 3, 8, 8), np.float32)
    yield module, images, classify(module, images)
    torch.set_num_threads(threads)


def test_the_class_is_that_of_the_largest_logit(attacked):
    module, images, labels = attacked
    weight, bias = (value.detach().numpy() for value in module[1].parameters())
    np.testing.assert_array_equal(labels, (images.reshape(8, -1) @ weight.T + bias).argmax(1))


@pytest.mark.parametrize("name", ATTACKS)
def test_what_an_attack_returns_has_another_class(attacked, name):
    module, images, labels = attacked
    changed, fooled = attack(name, module, images, labels)
    assert len(changed) == len(fooled) > 0
    assert (classify(module, changed) != labels[fooled]).all()
    assert 0 <= changed.min() < changed.max() <= 1
    if "8/255" in name:
        assert np.abs(changed - images[fooled]).max() <= 8 / 255 + 1e-6
    again, rows = attack(name, module, images, labels)
    np.testing.assert_array_equal(rows, fooled)
    np.testing.assert_array_equal(again, changed)
