"""Of boxes of one class that overlap, the surest stays."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.detections.found import overlaps
from outrider.networks.detections.suppression import kept


def by_hand(boxes, scores, classes, iou):
    """Each box, from the surest on, against all that stay."""
    stay: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        alike = [j for j in stay if classes[j] == classes[i]]
        if all(overlaps(boxes[i : i + 1], boxes[j : j + 1])[0, 0] <= iou for j in alike):
            stay.append(i)
    return stay


@pytest.mark.parametrize("iou", [0.1, 0.5, 0.9])
def test_it_is_what_comparing_each_with_each_gives(iou):
    rng = np.random.default_rng(8)
    corner = rng.uniform(0, 20, (60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 15, (60, 2))], axis=1).astype(np.float32)
    scores, classes = rng.permutation(60).astype(np.float32), rng.integers(0, 3, 60)
    expected = by_hand(boxes, scores, classes, iou)
    assert kept(boxes, scores, classes, iou, 60).tolist() == expected
    assert kept(boxes, scores, classes, iou, 4).tolist() == expected[:4]


def test_an_overlap_that_is_just_allowed_stays():
    boxes = np.array([[0, 0, 4, 2], [2, 0, 6, 2]], np.float32)  # a third in common
    scores, same = np.array([0.9, 0.8], np.float32), np.zeros(2, int)
    third = float(overlaps(boxes[:1], boxes[1:])[0, 0])
    assert kept(boxes, scores, same, third, 9).tolist() == [0, 1]
    assert kept(boxes, scores, same, np.nextafter(third, 0), 9).tolist() == [0]
    assert kept(boxes, scores, np.array([0, 1]), 0.1, 9).tolist() == [0, 1]
    assert kept(np.repeat(boxes[:1], 2, 0), scores, same, 1.0, 9).tolist() == [0, 1]


def test_no_box_is_no_box():
    assert not len(kept(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 0.5, 9))
