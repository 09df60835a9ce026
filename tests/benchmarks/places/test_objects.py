from __future__ import annotations

import numpy as np
import pytest

from benchmarks.places.camvid import ANIMAL, VOID
from benchmarks.places.objects import CAR, PEDESTRIAN, covered_by, objects_in, pixels_of, said_of

PERSON, CAR_OF_COCO, SHEEP = 0, 2, 18


@pytest.fixture
def labels() -> np.ndarray:
    """A picture 20 x 20 of road: a car on the left, an animal at the right, void below."""
    found = np.full((20, 20), 3, np.uint8)
    found[0:10, 0:10] = CAR
    found[0:10, 14:20] = ANIMAL
    found[15:20] = VOID
    return found


@pytest.mark.parametrize(
    ("box", "class_index", "said"),
    [
        ((0, 0, 10, 10), CAR_OF_COCO, "right"),
        ((0, 0, 10, 10), PERSON, "wrong"),
        ((-5, -5, 10, 10.4), CAR_OF_COCO, "right"),  # what lies outside the picture does not count
        ((7, 0, 17, 10), CAR_OF_COCO, "animal"),  # 3 in 10 columns of each: the animal goes first
        ((8, 0, 18, 5), CAR_OF_COCO, "animal"),
        ((7, 0, 14, 10), CAR_OF_COCO, "right"),  # 3 of 7
        ((9, 0, 14, 10), CAR_OF_COCO, "wrong"),  # 1 of 5
        ((14, 0, 20, 10), SHEEP, "animal"),
        ((0, 10, 10, 15), SHEEP, "wrong"),
        ((0, 14, 20, 20), CAR_OF_COCO, "void"),
        ((30, 30, 40, 40), CAR_OF_COCO, "void"),  # no pixel
    ],
)
def test_what_labels_say_of_a_box(labels, box, class_index, said):
    assert said_of(box, class_index, labels) == said


def test_objects_are_connected_parts_that_are_large_enough():
    labels = np.full((50, 100), 3, np.uint8)
    labels[0:5, 0:5], labels[5:10, 5:10] = CAR, CAR  # one, by its corners
    labels[40:45, 0:4] = PEDESTRIAN  # 20 of 5,000 pixels are 0.4 %
    labels[40:45, 20:23] = PEDESTRIAN  # 15 are too few
    labels[45:50, 4:8] = 10  # a bicyclist at the corner of the pedestrian is of the same object
    labels[20:25, 50:55] = ANIMAL
    found = objects_in(labels)
    assert [int(mask.sum()) for mask in found] == [50, 40, 25]
    assert found[2][22, 52]


def test_boxes_cover_a_mask_together():
    mask = np.zeros((10, 10), bool)
    mask[2:4, 0:10] = True
    assert covered_by([], mask) == 0
    assert covered_by([(0, 0, 5, 10), (4, 3, 8, 4)], mask) == pytest.approx((5 + 5 + 3) / 20)
    assert not mask[0].any()


def test_a_box_covers_whole_pixels_within_the_picture():
    values = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(pixels_of((0.6, -2, 3.4, 1.6), values), [[1, 2], [5, 6]])
