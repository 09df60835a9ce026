"""Figures of maps, against what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

from benchmarks.places.camvid import ANIMAL, VOID
from benchmarks.places.scoring import (
    Areas,
    box_means,
    hits,
    in_places,
    largest_areas,
    overlap,
    pixel_figures,
    threshold_at,
)
from outrider.monitor import LargestArea


def test_boxes_are_means_of_what_lies_within():
    maps = np.random.default_rng(0).normal(size=(2, 5, 7))
    found = box_means(maps, 3)
    for y, x in ((0, 0), (2, 3), (4, 6), (0, 3)):
        part = maps[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        np.testing.assert_allclose(found[:, y, x], part.mean((1, 2)))
    np.testing.assert_allclose(box_means(maps, 1), maps)


def test_pixels_of_void_are_left_out():
    labels = np.zeros((1, 4, 6), np.uint8)
    labels[0, 0, :3], labels[0, 3] = ANIMAL, VOID
    maps = np.zeros((1, 4, 6))
    maps[0, 0, :2], maps[0, 1, 0], maps[0, 3] = 3, 2, 9
    found = pixel_figures(maps, labels, every=1)
    # 3 animal pixels: two above all, one among the 14 zeros; 15 others: one at 2.
    assert found["AUROC"] == pytest.approx((2 * 15 + 14 / 2) / (3 * 15))
    assert found["AUPR"] == pytest.approx((2 * 1 + 3 / 18) / 3)
    assert found["FPR95"] == 1
    labels[0, 0, 2] = 0
    assert pixel_figures(maps, labels, every=1) == {"AUROC": 1, "AUPR": 1, "FPR95": 0}


def test_areas_are_those_of_the_logic():
    rng = np.random.default_rng(1)
    maps = np.float32(box_means(rng.gamma(1, size=(40, 9, 11)), 3))
    grids, logic = maps[:, None], LargestArea(smooth=1, level=0.8)
    scales = logic.fit(grids, np.zeros(1, int))
    scorer_maps = logic.mapper(scales, grids)
    scorer_maps()
    found = largest_areas(scorer_maps.maps, logic.level_of(scales))
    scores = logic.score(scales, grids, np.zeros(1, int))
    np.testing.assert_array_equal(np.floor(found.scores), np.floor(scores))
    np.testing.assert_array_equal(found.where.sum((1, 2)), np.floor(scores))


def test_places_touch_at_corners():
    one = np.zeros((1, 4, 4))
    one[0, [0, 1, 3], [0, 1, 3]] = 2
    found = largest_areas(one, 1)
    assert found.scores[0] == pytest.approx(2 + 0.5)
    assert np.argwhere(found.where[0]).tolist() == [[0, 0], [1, 1]]
    nothing = largest_areas(one, 5)
    assert nothing.scores.tolist() == [0]
    assert not nothing.where.any()


def test_a_place_is_animal_from_half_on():
    animals = np.zeros((1, 8, 8), bool)
    animals[0, :4, :2] = animals[0, 4:, 4:7] = animals[0, 0, 4:] = True
    assert in_places(animals, (2, 2)).tolist() == [[[True, False], [False, True]]]


def test_hits_and_overlap():
    where, animals = np.zeros((3, 2, 2), bool), np.zeros((3, 2, 2), bool)
    where[0, 0], animals[0, :, 0] = True, True  # one of three in common
    where[1, 0, 0], animals[1, 1, 1] = True, True
    animals[2] = True
    found = Areas(np.array([2.5, 3.5, 1.0]), where)
    assert hits(found, animals, 2.0).tolist() == [True, False, False]
    assert hits(found, animals, 2.5).tolist() == [False, False, False]
    assert overlap(found, animals) == pytest.approx(1 / 9)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.0])
def test_no_more_clean_frames_alarm_than_the_share(share):
    clean = np.random.default_rng(2).normal(size=37)
    threshold = threshold_at(clean, share)
    assert np.mean(clean > threshold) <= share
    below = clean[clean < threshold].max()
    assert np.mean(clean > below) > share
