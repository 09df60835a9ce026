from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from benchmarks.detection.attacks import EvaluationSet
from benchmarks.detection.kept import Scores
from benchmarks.detection.scoring import BATCH, accuracy, by_threshold, judged, our_scores, sizes
from outrider.coverage import Gaussian
from outrider.monitor import Monitor, ZScore, clopper_pearson
from outrider.networks import ImageSet, LeNet, TorchNetwork

COLUMNS = [EvaluationSet("test", np.zeros((4, 1))), EvaluationSet("noise", np.zeros((3, 1)), tried=5, l2=0.5)]


def test_the_figures_of_a_row():
    values = [np.float32([1, 2, 3, np.nan]), np.float32([3, np.inf, 4])]
    row = judged(Scores(values, by_threshold(values, np.linspace(0, 3, 19), None)), ["test", "noise"])
    assert row["false_alarms"] == 0.25
    assert row["false_alarms_interval"] == clopper_pearson(1, 4)
    noise = row["columns"]["noise"]
    assert noise["flagged"] == row["mean_flagged"] == pytest.approx(2 / 3)
    # Of 12 pairs the noise is above in 8 and equal in two: 3 with 3, and infinity with NaN.
    assert noise["auroc"] == pytest.approx((8 + 0.5 + 0.5) / 12) == row["mean_auroc"]
    # From above: one of each, then a strange one, then one of each, so that 95 % are caught with half alarming.
    assert noise["fpr95"] == 0.5
    assert noise["aupr"] == pytest.approx((1 / 2 + 2 / 3 + 3 / 5) / 3)
    assert "few" not in row


def test_classes_with_few_images_are_counted_apart():
    flags = [np.array([True, False, True, False]), np.array([True])]
    values = [np.arange(4.0), np.ones(1)]
    few = np.array([True, True, False, False])
    row = judged(Scores(values, flags), ["test", "noise"], few)
    assert (row["few"], row["few_false_alarms"]) == (2, 0.5)
    chosen = [np.array([0, 2]), np.array([5])]
    row = judged(Scores([values[0][:2], values[1]], [flags[0][[0, 2]], flags[1]], chosen), ["test", "noise"], few)
    assert (row["few"], row["few_false_alarms"], row["judged"]) == (1, 1.0, [2, 1])
    assert "few" not in judged(Scores(values, flags), ["test", "noise"], np.zeros(4, bool))


def test_a_rival_gets_the_threshold_that_a_monitor_would():
    calibrating = np.random.default_rng(0).permutation(99) / 10.0
    flagged = by_threshold([np.array([9.4, 9.5, np.nan])], calibrating, None)[0]
    assert flagged.tolist() == [False, True, True]  # the 95th of 99, the 100th unseen, is 9.4
    drives = np.repeat(np.arange(33), 3)
    assert by_threshold([np.array([9.4])], np.repeat(np.arange(33) / 10.0, 3), drives)[0].tolist() == [True]
    assert not by_threshold([np.array([3.2])], np.repeat(np.arange(33) / 10.0, 3), drives)[0].any()


def test_ours_flag_what_alarms_by_the_threshold_of_the_class():
    torch.manual_seed(3)
    rng = np.random.default_rng(0)
    module = LeNet(size=8, classes=2).eval()
    with torch.no_grad():
        module.dense2.weight *= 1e4  # sure of what it says
    pictures = rng.integers(0, 256, (900, 1, 8, 8), np.uint8)
    classes = module(torch.from_numpy(pictures / np.float32(255))).argmax(1).numpy()

    def some(rows: slice) -> ImageSet:
        return ImageSet("made", pictures[rows], classes[rows], ("a", "b"))

    experiment = SimpleNamespace(
        seen=some(slice(400)), held_out=some(slice(400, 800)), calibrate={"drives": np.arange(400), "per_class": True}
    )
    monitors: list[Monitor] = []

    def make() -> Monitor:
        monitors.append(Monitor(TorchNetwork(module, (1, 8, 8), neurons="channel"), Gaussian(), logic=ZScore()))
        return monitors[0]

    broken = np.full((1, 1, 8, 8), np.nan, np.float32)
    columns = [EvaluationSet("test", some(slice(800, 900)).floats()), EvaluationSet("broken", broken)]
    scores = our_scores(make, experiment, columns)
    thresholds = monitors[0].calibration.thresholds[classes[800:]]
    expected = monitors[0].scores(columns[0].images) - thresholds
    np.testing.assert_array_equal(scores.values[0], expected)
    np.testing.assert_array_equal(scores.flagged[0], expected > 0)
    assert scores.flagged[1].tolist() == [True]
    assert scores.facts["bytes"] == monitors[0].learned.nbytes
    assert monitors[0].calibration.drives is not None


def test_columns_are_told_by_their_size():
    assert sizes(COLUMNS)["noise"] == {"n": 3, "tried": 5, "l2": 0.5, "linf": 0.0}
    assert COLUMNS[1].success == 0.6
    assert np.isnan(COLUMNS[0].success)


def test_accuracy_counts_over_all_batches():
    images = np.zeros((BATCH + 2, 1, 1, 2), np.uint8)
    images[:3, ..., 1] = 255
    labels = np.zeros(len(images), np.int64)
    labels[1:4] = 1
    data = ImageSet("made", images, labels, ("a", "b"))
    assert accuracy(torch.nn.Flatten(), data) == pytest.approx((len(images) - 2) / len(images))
