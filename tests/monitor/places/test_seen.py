"""What a verdict says of places."""

from typing import NamedTuple

import numpy as np

from outrider.monitor.places import LargestArea, Places, WorstPlace


class Found(NamedTuple):
    box: tuple


def test_regions_that_detections_cover_by_less_than_half_are_missed():
    seen = np.zeros((4, 6), np.float32)
    seen[0, 0:2] = 5
    seen[3, 3:6] = 4
    places = Places(seen, 1.0, (40, 60), boxes=[Found((0, 0, 10, 10)), Found((30, 30, 40, 40))])
    assert [one.places for one in places.regions] == [3, 2]
    assert [one.covered for one in places.regions] == [1 / 3, 0.5]
    assert places.missed == places.regions[:1]
    assert repr(places) == "Places(map 4 x 6, 2 regions, 2 boxes)"


def test_without_a_map_there_are_no_regions():
    assert Places(None, np.inf, (1, 1)).regions == ()


def test_the_regions_above_a_threshold_are_those_that_alone_would_make_the_score_exceed_it():
    seen = np.zeros((6, 9), np.float32)
    seen[0, :4], seen[3:5, 4], seen[5, 0] = 2, 3, 9
    area, peak = (Places(seen, 1.0, (6, 9), logic=logic) for logic in (LargestArea(), WorstPlace()))
    line, pair, spot = (area.regions[i] for i in range(3))
    assert [one.places for one in (line, pair, spot)] == [4, 2, 1]
    # The score of an area has 9 / 10 more, of the highest value of the whole map.
    for threshold, count in ((0.5, 3), (1.95, 2), (2.85, 2), (3.0, 1), (4.85, 1), (4.95, 0)):
        assert area.above(threshold) == area.regions[:count]
    for threshold, found in ((1.9, {line, pair, spot}), (2, {pair, spot}), (3, {spot}), (9, set())):
        assert set(peak.above(threshold)) == found
    assert Places(seen, 1.0, (6, 9)).above(1e9) == area.regions, "of a logic that is not known"
    assert Places(None, np.inf, (6, 9), logic=WorstPlace()).above(0) == ()
    endless = seen.copy()
    endless[5, 0] = np.inf
    assert Places(endless, 1.0, (6, 9), logic=LargestArea()).above(4.9)[0].places == 4
