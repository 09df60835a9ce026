"""Logics of places against the formulas in plain numpy."""

import numpy as np
import pytest

from outrider.monitor.logic import describe_logic, make_logic
from outrider.monitor.places import LargestArea, PlaceLogic, WorstPlace

GROUPS = np.zeros(2, int)


def grids(n=6, seed=0):
    return np.random.default_rng(seed).gamma(2.0, size=(n, 2, 9, 11)).astype(np.float32)


def surprise(held_out, value):
    return -np.log((1 + (held_out >= value).sum()) / (held_out.size + 1))


def maps_by_hand(held_out, seen, smooth):
    """-log p by counting, in place of the curve; then the mean over the box."""
    counted = np.array(
        [
            [[[surprise(held_out[:, j], v) for v in row] for row in seen[i, j]] for j in range(2)]
            for i in range(len(seen))
        ]
    ).mean(axis=1)
    half, out = smooth // 2, np.empty_like(counted)
    for y in range(counted.shape[1]):
        for x in range(counted.shape[2]):
            box = counted[:, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            out[:, y, x] = box.mean((1, 2))
    return out


@pytest.mark.parametrize("logic", [LargestArea(smooth=3, level=0.9), WorstPlace(smooth=1)], ids=repr)
def test_scores_are_those_of_the_map(logic):
    held_out, seen = grids(30), grids(4, seed=1)
    scales = logic.fit(held_out, GROUPS)
    mapper = logic.mapper(scales, seen)
    mapper()
    # The curve lies between counts, and its tail leaves them.
    assert np.abs(mapper.maps - maps_by_hand(held_out, seen, logic.smooth)).max() < 0.35
    scores = logic.score(scales, seen, GROUPS)
    highest = mapper.maps.reshape(4, -1).max(1)
    if isinstance(logic, WorstPlace):
        np.testing.assert_array_equal(scores, highest)
    else:
        np.testing.assert_allclose(scores % 1, highest / (1 + highest), rtol=1e-6)
        above = (mapper.maps > logic.level_of(scales)).sum((1, 2))
        assert (np.floor(scores) <= above).all()
        assert ((scores >= 1) == (above > 0)).all()


def test_the_box_is_smaller_on_small_maps():
    reaches = {side: LargestArea(smooth=5).half(side, 40) for side in (1, 4, 5, 8, 9, 40)}
    assert reaches == {1: 0, 4: 0, 5: 1, 8: 1, 9: 2, 40: 2}
    assert WorstPlace(smooth=1).half(100, 100) == 0


def test_the_level_leaves_that_share_of_held_out_places_below():
    held_out = grids(40)
    for level in (0.5, 0.95):
        logic = LargestArea(smooth=3, level=level)
        scales = logic.fit(held_out, GROUPS)
        mapper = logic.mapper(scales, held_out)
        mapper()
        assert (mapper.maps <= logic.level_of(scales)).mean() == pytest.approx(level, abs=0.002)


def test_the_knots_lie_on_the_counts_of_held_out_places():
    held_out = grids(30)
    scales = LargestArea().fit(held_out, GROUPS)
    for j in range(2):
        expected = [surprise(held_out[:, j].astype(float), v) for v in scales["value"][:, j]]
        np.testing.assert_allclose(scales["surprise"][:, j], expected)
    assert (np.diff(scales["value"], axis=0) >= 0).all()
    assert scales["surprise"].max() > 3.5  # the tail begins far out


def test_a_place_of_an_unknown_class_is_surprising_and_no_more():
    held_out = grids(30)
    logic = WorstPlace(smooth=1)
    scales = logic.fit(held_out, GROUPS)
    seen = held_out[:1].copy()
    seen[0, :, 2, 3] = np.inf
    expected = (2 * scales["surprise"][-1] + 1).mean()
    assert logic.score(scales, seen, GROUPS)[0] == pytest.approx(expected)
    both = logic.fit(np.concatenate([held_out, seen]), GROUPS)
    assert all(np.isfinite(array).all() for array in both.values())


def test_values_that_are_all_equal_make_a_curve():
    scales = LargestArea().fit(np.zeros((2, 2, 1, 1), np.float32), GROUPS)
    assert (scales["excess"] == 1).all()
    assert LargestArea().score(scales, np.zeros((1, 2, 1, 1), np.float32), GROUPS)[0] == 0


def test_settings_are_checked_and_written_down():
    for settings in ({"smooth": 4}, {"smooth": 0}, {"level": 1.0}, {"level": 0.0}):
        with pytest.raises(ValueError, match="expected"):
            LargestArea(**settings)
    for logic in (LargestArea(smooth=7, level=0.97), WorstPlace(smooth=3)):
        assert isinstance(logic, PlaceLogic)
        assert make_logic(**describe_logic(logic)) == logic
    with pytest.raises(ValueError, match="largest_area"):
        make_logic("area")
