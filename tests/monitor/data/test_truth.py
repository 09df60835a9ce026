"""True boxes as labels, and which detections are right."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.data.truth import are_boxes, boxes_as_array, right
from outrider.networks import Detections

BOXES = [[0, 0, 4, 4], [4, 0, 8, 4]]


def test_the_forms_of_labels_are_one():
    torch = pytest.importorskip("torch")
    target = {"boxes": torch.tensor(BOXES), "labels": torch.tensor([1, 2]), "image_id": 7}
    forms = [
        target,
        {"boxes": BOXES, "classes": [1, 2]},
        (np.array(BOXES), [1, 2]),
        Detections.of(BOXES, [1, 1], [1, 2]),
    ]
    assert are_boxes(forms)
    found = boxes_as_array(forms)
    assert are_boxes(found)
    for one in found[1:]:
        for part, same in zip(one, found[0], strict=True):
            np.testing.assert_array_equal(part, same)
    (none,) = boxes_as_array([([], [])])
    assert none.boxes.shape == (0, 4)


@pytest.mark.parametrize("labels", [[1, 2], np.zeros(3, int), np.zeros((2, 4, 4), int), [], [[1, 2], [3, 4]], None])
def test_numbers_of_classes_are_no_boxes(labels):
    assert not are_boxes(labels)


def test_what_is_no_box_is_refused():
    with pytest.raises(ValueError, match="a mapping with boxes and labels, got boxes, names"):
        boxes_as_array([{"boxes": BOXES, "names": ["a"]}])
    with pytest.raises(ValueError, match="expected boxes"):
        boxes_as_array([(BOXES, [1])])


def test_a_detection_is_right_with_half_in_common_and_the_class():
    truth = Detections.of([[0, 0, 4, 4], [10, 0, 14, 4]], [1, 1], [1, 2])
    cases = {
        (0, 0, 4, 8): True,  # just half
        (0, 0, 4, 8.01): False,
        (0, 0, 4, 4): True,
        (10, 0, 14, 4): False,  # of class 1, where 2 is
        (30, 0, 34, 4): False,
    }
    for box, expected in cases.items():
        found = Detections.of([box], [0.9], [1])
        assert right(found, truth).tolist() == [expected], box
    assert right(Detections.of([[0, 0, 4, 4]], [0.9], [1]), Detections.of(np.zeros((0, 4)), [], [])).tolist() == [False]


def test_the_surest_takes_a_true_box_and_each_is_taken_once():
    truth = Detections.of([[0, 0, 4, 4], [1, 0, 5, 4]], [1, 1], [3, 3])
    found = Detections.of([[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 4]], [0.5, 0.9, 0.7], [3, 3, 3])
    assert right(found, truth).tolist() == [False, True, True]  # the second takes the one beside it, of 0.6 in common
