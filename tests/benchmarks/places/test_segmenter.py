from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.places import segmenter as ours
from benchmarks.places.camvid import Frames
from benchmarks.places.segmentation_tables import accuracy
from outrider.networks import import_torchvision


def untrained() -> ours.Segmenter:
    torch.manual_seed(1)
    return ours.Segmenter(import_torchvision().models.mobilenet_v2(weights=None).features)


def test_the_maps_lie_at_strides_8_and_16_and_scores_at_every_pixel():
    module = untrained().eval()
    with torch.no_grad():
        maps = module.net.backbone(torch.zeros(1, 3, 64, 96))
        scores = module(torch.zeros(1, 3, 64, 96))
    assert maps["low"].shape == (1, 32, 8, 12)
    assert maps["high"].shape == (1, 1280, 4, 6)
    assert scores.shape == (1, 11, 64, 96)


def test_dilated_blocks_see_what_strided_ones_do():
    """At every second place of stride 16 the dilated features are those of stride 32, away from the border."""
    torch.manual_seed(2)
    features = import_torchvision().models.mobilenet_v2(weights=None).features.eval()
    x = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        before = features(x)
        after = ours.Stages(features)(x)["high"]
    torch.testing.assert_close(after[:, :, ::2, ::2][..., 3:-3, 3:-3], before[..., 3:-3, 3:-3])


def test_a_broken_run_goes_on_where_it_was(tmp_path, monkeypatch):
    for name, value in {"EPOCHS": 3, "BATCH": 2, "CROP": (32, 32), "KEPT": 1}.items():
        monkeypatch.setattr(ours, name, value)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (4, 3, 48, 64), dtype=np.uint8))
    labels = torch.from_numpy(rng.integers(0, 12, (4, 48, 64), dtype=np.uint8))
    whole, broken = untrained(), untrained()
    ours.train(whole, images, labels, tmp_path / "whole")

    class Break(Exception):
        pass

    def breaking(done: float) -> float:
        if done >= 0.5:  # the second of three epochs, in its second step
            raise Break
        return one_cycle(done)

    one_cycle = ours.one_cycle
    monkeypatch.setattr(ours, "one_cycle", breaking)
    with pytest.raises(Break):
        ours.train(broken, images, labels, tmp_path / "broken")
    monkeypatch.setattr(ours, "one_cycle", one_cycle)
    again = untrained()
    ours.train(again, images, labels, tmp_path / "broken")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
    assert not torch.equal(broken.net.classifier.cbr[0].weight, again.net.classifier.cbr[0].weight)


def test_the_rate_goes_up_for_a_tenth_and_down_to_nothing():
    assert [ours.one_cycle(done) / ours.PEAK_RATE for done in (0, 0.05, 0.1, 0.55, 1)] == pytest.approx(
        [0, 0.5, 1, 0.5, 0]
    )


def test_rare_classes_count_for_more_and_void_for_nothing():
    labels = torch.tensor([0] * 1600 + [1] * 100 + [11] * 5000, dtype=torch.uint8)
    weights = ours.class_weights(labels)
    assert weights.shape == (11,)
    assert weights.mean() == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(2)  # the fourth root of 16


def test_a_crop_keeps_picture_and_labels_together():
    """Every class is grey of its own, so that brightness tells the label whatever was done to colours."""
    label = torch.arange(12, dtype=torch.uint8).repeat_interleave(40).repeat(360, 1)
    picture = (label * 20)[None].repeat(3, 1, 1)
    torch.manual_seed(0)
    mirrored = set()
    for _ in range(8):
        x, y = ours.augmented(picture, label)
        assert x.shape == (3, *ours.CROP)
        assert y.shape == ours.CROP
        assert 0 <= x.min() <= x.max() <= 1
        mirrored.add(bool(y[0, 0] > y[0, -1]))
        levels = [x[:, y == one].mean().item() for one in y.unique()]
        assert levels == sorted(levels)
    assert mirrored == {True, False}


def test_the_confusion_counts_pixels_with_a_label():
    class Bright(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = torch.zeros(1, 11, *x.shape[2:])
            scores[:, 3] = x[:, 0]  # road where there is any red, else sky
            return scores

    images = np.zeros((1, 2, 3, 3), np.uint8)
    images[0, 0, :, 0] = 255
    labels = np.array([[[3, 3, 8], [0, 11, 3]]], np.uint8)
    table = ours.confusion(Bright(), Frames(images, labels, ("a_1",)))
    expected = np.zeros((11, 11), int)
    expected[3, 3], expected[8, 3], expected[0, 0], expected[3, 0] = 2, 1, 1, 1
    np.testing.assert_array_equal(table, expected)

    part = {"frames": 1, "confusion": table.tolist()}
    (shown,) = accuracy({"val": part, "test": part, "classes": list(ours.CLASS_NAMES)})
    row = dict(zip(shown.header, shown.rows[0], strict=True))
    assert row["pixels"] == "60.0 %"
    assert row["road"] == "67"
    assert row["mean IoU"] == "9.1 %"  # of 11: road 2 of 4, sky 1 of 2, the others none
