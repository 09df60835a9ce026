"""What a frame's detections are, and how much boxes have in common."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import Detections
from outrider.networks.detections.found import areas, detected, overlaps, picked


def test_arrays_and_tensors_become_detections_of_one_form():
    torch = pytest.importorskip("torch")
    found = Detections.of(torch.tensor([[0.0, 1, 2, 3]], requires_grad=True), torch.tensor([0.5]), torch.tensor([7]))
    assert [(part.dtype.name, part.shape) for part in found] == [
        ("float32", (1, 4)),
        ("float32", (1,)),
        ("int64", (1,)),
    ]
    none = Detections.of(np.zeros((0, 4)), [], [])
    assert [part.dtype.name for part in none] == ["float32", "float32", "int64"]


@pytest.mark.parametrize(
    ("boxes", "scores", "classes"),
    [([[0, 0, 1]], [1], [1]), ([[0, 0, 1, 1]], [1, 2], [1]), ([[0, 0, 1, 1]], [1], [[1]]), ([[0, 0, 1, 1]], [1], [-1])],
)
def test_what_is_no_detection_of_a_frame_is_refused(boxes, scores, classes):
    with pytest.raises(ValueError, match="expected"):
        Detections.of(boxes, scores, classes)


def test_a_decoder_gives_detections_for_every_frame():
    one = ([[0, 0, 1, 1]], [0.5], [3])
    found = detected(lambda _: [one, Detections.of(*one)], None, 2)
    assert [type(part) for part in found] == [Detections, Detections]
    assert found[0].classes.tolist() == [3]
    with pytest.raises(ValueError, match="each of 3 frames, got those of 2"):
        detected(lambda _: [one, one], None, 3)
    for wrong in (None, [None], one, np.zeros((1, 3))):
        with pytest.raises((TypeError, ValueError), match="expected"):
            detected(lambda _, wrong=wrong: wrong, None, 1)


def test_an_output_is_picked_by_its_place():
    assert picked((1, 2), 1) == 2
    assert picked({"a": 1, "b": 2}, 1) == 2
    assert picked(5, 0) == 5
    with pytest.raises(ValueError, match="output 1, got 1 outputs"):
        picked(5, 1)


def test_overlaps_are_those_of_counted_pixels():
    rng = np.random.default_rng(3)
    corners = np.sort(rng.integers(0, 9, (12, 2, 2)), axis=1).reshape(12, 4).astype(np.float32)
    mask = np.zeros((12, 9, 9), bool)
    for one, (left, top, right, bottom) in zip(mask, corners.astype(int), strict=True):
        one[top:bottom, left:right] = True
    both = (mask[:, None] & mask[None]).sum((2, 3))
    either = (mask[:, None] | mask[None]).sum((2, 3))
    np.testing.assert_allclose(overlaps(corners, corners), both / np.maximum(either, 1), rtol=1e-6)
    np.testing.assert_array_equal(areas(corners), mask.sum((1, 2)))
    turned = corners[:, [2, 3, 0, 1]]
    assert not overlaps(turned, turned).any()
