"""Regions of a map in pixels."""

import numpy as np

from outrider.monitor.places.regions import regions_of

MAP = np.array([[0, 9, 2, 0, 0], [0, 0, 8, 0, 0], [0, 0, 0, 0, 4], [7, 0, 0, 0, 6]], np.float32)


def test_regions_lie_over_the_picture_the_largest_first():
    classes = np.array([[0, 1, 1, 0, 0], [0, 0, 2, 0, 0], [0] * 5, [3, 0, 0, 0, 3]], np.int16)
    first, second, third = regions_of(MAP, 1.5, (40, 100), classes)
    assert first.box == (20, 0, 60, 20)
    assert (first.places, first.area, first.peak, first.at) == (3, 3 * 10 * 20, 9, (30, 5))
    assert first.class_index == 1
    assert second.box == (80, 20, 100, 40)
    assert (second.places, second.peak, second.class_index) == (2, 6, 0)
    assert (third.places, third.box) == (1, (0, 30, 20, 40))
    assert str(first) == "40 x 20 pixels at (20, 0)"


def test_corners_touch_and_the_level_itself_is_no_part():
    assert [one.places for one in regions_of(MAP, 2, (4, 5))] == [2, 2, 1]
    assert regions_of(MAP, 9, (4, 5)) == ()
    assert regions_of(MAP, np.inf, (4, 5)) == ()


def test_what_detections_cover():
    boxes = np.array([[20, 0, 40, 40], [80, 30, 100, 40]], np.float32)
    first, second, third = regions_of(MAP, 1.5, (40, 100), boxes=boxes)
    assert first.covered == 1 / 3
    assert second.covered == 0.5
    assert third.covered == 0
    assert first.class_index == -1
