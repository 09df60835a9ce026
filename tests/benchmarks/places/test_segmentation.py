"""The benchmark of segmentation on a network and frames that a test makes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import torch
from torch import nn

from benchmarks.places import segmentation
from benchmarks.places.camvid import ANIMAL, Frames
from benchmarks.places.scoring import largest_areas
from benchmarks.places.segmentation import Data, Judged, counted, exported, figures_of, of_monitor, read_off

HEIGHT, WIDTH = 64, 96


def frames(seed: int, n: int, drive: str = "a") -> Frames:
    """A bright sky over a dark road, with noise."""
    images = np.random.default_rng(seed).integers(0, 40, (n, HEIGHT, WIDTH, 3), np.uint8)
    labels = np.ones((n, HEIGHT, WIDTH), np.uint8)
    images[:, : HEIGHT // 2] += 180
    labels[:, : HEIGHT // 2] = 0
    return Frames(images, labels, tuple(f"{drive}_{i}" for i in range(n)))


def inputs(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / 255


class Bright(nn.Module):
    """Sky where it is bright, after a few maps of its own."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 1, 1), nn.ReLU())

    def forward(self, x):
        faint = nn.functional.interpolate(self.maps(x).mean(1, keepdim=True), size=x.shape[2:]) * 1e-3
        bright = x.mean(1, keepdim=True) - 0.4
        return torch.cat([40 * bright, faint - 40 * bright], 1)


@pytest.fixture(scope="module")
def data() -> Data:
    test = frames(3, 70, "b")
    labels = test.labels.copy()
    labels[:, 20:44, 30:60] = ANIMAL
    strange = np.where((labels == ANIMAL)[..., None], np.uint8([250, 0, 250]), test.images)
    sets = dict.fromkeys(segmentation.SETS, test.images) | {"animal": strange, "feathered": strange}
    return Data(frames(1, 12), frames(2, 40), sets, labels, test.drives)


def test_a_monitor_learns_is_calibrated_and_judges_every_set(data, tmp_path, monkeypatch):
    torch.manual_seed(0)
    size = (1, HEIGHT, WIDTH, 3)
    monkeypatch.setattr(segmentation, "EXAMPLE", size)
    network = exported("bright", Bright().eval(), inputs, tmp_path)
    judged = of_monitor(network, data, {"taps": "widest", "criteria": "mahalanobis"})
    assert judged.maps["clean"].shape == (70, 16, 24)
    found = figures_of(judged, data)
    assert found["pixels"]["AUROC"] > 0.95
    assert found["at 10 %"]["animal"] == 1
    assert found["at 10 %"]["control"] == 0
    assert found["IoU"]["animal"] > 0.4
    assert found["asked"]["animals"]["count"] == 70
    assert found["recalibrated"]["0.05"]["animals"]["of"] == 70 - segmentation.GIVEN
    assert judged.again[0.05] >= judged.again[0.1]
    assert found["recalibrated"]["0.05"]["clean"]["count"] <= found["recalibrated"]["0.1"]["clean"]["count"] <= 10
    assert np.isin(np.flatnonzero(data.foreign), np.arange(70)).all()
    np.testing.assert_array_equal(judged.areas["clean"].scores, judged.areas["control"].scores)


def test_figures_are_counted_over_frames(data):
    maps = np.zeros((70, 8, 12))
    maps[:7, 0, 0] = 1  # seven clean frames deviate at a corner
    strange = maps.copy()
    strange[:35, 3:5, 4:7] = 2
    of = {"clean": maps, "control": maps, "animal": strange, "feathered": strange}
    judged = Judged(of, {name: largest_areas(values, 0.5) for name, values in of.items()}, threshold=0.5)
    found = figures_of(judged, data)
    assert found["at 10 %"] == {"animal": 0.5, "feathered": 0.5, "control": 0.0, "clean": 0.0}
    assert found["asked"]["clean"]["count"] == 7
    assert found["asked"]["animals"]["count"] == 35
    assert "recalibrated" not in found


def test_rivals_are_read_off_pixels_and_averaged():
    scores = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    found = read_off(scores, 2)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = {
        "max softmax": -shares.max(1),
        "entropy": -(shares * np.log(shares)).sum(1),
        "max logit": -scores.max(1),
        "energy": -np.log(np.exp(scores).sum(1)),
    }
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        windows = values.reshape(2, 2, 2, 3, 2).mean((2, 4))
        np.testing.assert_allclose(found[name], windows, rtol=1e-5)


def test_an_interval_stands_beside_a_count():
    found = counted(np.arange(20) < 3)
    assert (found["count"], found["of"]) == (3, 20)
    assert 0.03 < found["low"] < 0.15 < found["high"] < 0.39
