"""Maps over pictures."""

import numpy as np
import pytest

from outrider.monitor import Status
from outrider.monitor.places import Places
from outrider.networks import Preprocessing
from outrider.runtime.pages.maps import overlaid, seen_by_network

GREY = np.full((40, 60, 3), 100, np.uint8)


def places(at=(2, 3), value=5.0, level=1.0, boxes=()):
    seen = np.zeros((8, 12), np.float32)
    seen[at[0] : at[0] + 2, at[1] : at[1] + 3] = value
    return Places(seen, level, (40, 60), boxes=boxes)


def test_heat_lies_where_the_map_is_high_and_nowhere_else():
    drawn = overlaid(GREY, places())
    assert drawn.shape == (40, 60, 3)
    assert drawn.dtype == np.uint8
    middle = drawn[15, 22].astype(int)
    assert middle[0] > middle[2] + 40  # red
    np.testing.assert_array_equal(drawn[30:], GREY[30:])
    np.testing.assert_array_equal(drawn[:, 45:], GREY[:, 45:])
    assert drawn[10, 20].tolist() == [0, 255, 255]  # the frame of the region
    assert drawn[10, 15].tolist() == drawn[19, 29].tolist() == [0, 255, 255]


def test_a_map_below_half_its_level_leaves_the_picture_and_one_without_changes_nothing():
    np.testing.assert_array_equal(overlaid(GREY, places(value=0.5)), GREY)
    np.testing.assert_array_equal(overlaid(GREY[:, :, :1], Places(None, np.inf, (40, 60))), GREY)


def test_the_picture_may_be_smaller_than_the_input():
    drawn = overlaid(GREY[::2, ::2], places())
    assert drawn[5, 10].tolist() == [0, 255, 255]
    np.testing.assert_array_equal(drawn[15:], GREY[:5, :30])


def test_regions_that_no_detection_covers_have_another_colour():
    class Found:
        box = (15.0, 10.0, 30.0, 20.0)
        alarm = False

    class Elsewhere:
        box = (40.0, 30.0, 50.0, 40.0)
        alarm = True

    assert overlaid(GREY, places(boxes=[Found()]))[10, 20].tolist() == [0, 255, 255]
    drawn = overlaid(GREY, places(boxes=[Elsewhere()]))
    assert drawn[10, 20].tolist() == [255, 0, 255]
    assert drawn[30, 45].tolist() == [255, 0, 0]


def test_the_border_says_the_status():
    for status, colour in ((Status.OK, [0, 160, 0]), (Status.WARN, [240, 200, 0]), (Status.FAULT, [255, 0, 0])):
        drawn = overlaid(GREY, places(), status)
        assert drawn[0, 30].tolist() == drawn[20, 59].tolist() == colour
        assert drawn[35, 5].tolist() == [100, 100, 100]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_a_sample_is_turned_back_into_the_picture(layout, order):
    picture = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    made = Preprocessing(scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), order=order, layout=layout)
    np.testing.assert_array_equal(seen_by_network(made(picture), made), picture.transpose(1, 2, 0))


def test_samples_without_preprocessing_are_shown_as_they_can_be():
    sample = np.random.default_rng(0).random((3, 5, 7), np.float32)
    np.testing.assert_array_equal(seen_by_network(sample, None), np.rint(sample.transpose(1, 2, 0) * 255))
    assert seen_by_network(np.zeros((2, 5, 7), np.float32), None) is None
    assert seen_by_network(np.zeros(5, np.float32), Preprocessing()) is None
    assert seen_by_network(np.zeros((5, 7), np.float32), None).shape == (5, 7, 1)
