from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection.photographs import Enlarged, learn_head
from outrider.networks import ImageSet


class Tiny(torch.nn.Module):
    """As MobileNetV2 is seen: features that end in maps, and how many channels these have."""

    last_channel = 6

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.AvgPool2d(24), torch.nn.Conv2d(3, 6, 1), torch.nn.ReLU())


def test_a_head_is_learned_on_features_that_stay_as_they_are():
    torch.manual_seed(1)
    module = Enlarged(Tiny()).eval()
    before = [value.clone() for value in module.features.state_dict().values()]
    labels = np.arange(90) % 3
    images = np.random.default_rng(0).integers(0, 40, (90, 3, 32, 32), np.uint8)
    for i, label in enumerate(labels):
        images[i, label] += 200
    learn_head(module, ImageSet("made", images, labels, tuple("abcdefghij")))
    scores = module(torch.from_numpy(images / np.float32(255)))
    assert (scores.argmax(1).numpy() == labels).all()
    assert all(torch.equal(a, b) for a, b in zip(before, module.features.state_dict().values(), strict=True))
    # By hand: three times as wide, then less ImageNet's mean, over its deviation; a flat grey stays one.
    grey = module.encode(torch.full((1, 3, 32, 32), 0.5))
    own = (0.5 - module.mean) / module.std
    conv = module.features[1]
    expected = torch.relu((conv.weight[:, :, 0, 0] @ own[:, :, 0])[:, 0] + conv.bias)
    torch.testing.assert_close(grey[0], expected)
