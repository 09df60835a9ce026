from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from benchmarks.detection.attacks import EvaluationSet
from benchmarks.detection.scoring import BATCH, accuracy, judged, sizes
from outrider.networks import ImageSet

COLUMNS = [EvaluationSet("test", np.zeros((4, 1))), EvaluationSet("noise", np.zeros((3, 1)), tried=5, l2=0.5)]


def test_a_score_on_the_threshold_is_no_alarm_and_nan_is_one():
    row = judged([np.float32([1, 2, 3, np.nan]), np.float32([3, np.inf, 4])], 3.0, COLUMNS)
    assert row["false_alarms"] == 0.25
    assert row["columns"]["noise"]["flagged"] == pytest.approx(2 / 3)
    # Of 12 pairs the noise is above in 8 and equal in two: 3 with 3, and infinity with NaN.
    assert row["columns"]["noise"]["auroc"] == pytest.approx((8 + 0.5 + 0.5) / 12) == row["mean_auroc"]
    low, high = row["false_alarms_interval"]
    assert low < 0.25 < high


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
