"""What a verdict says of places."""

from typing import NamedTuple

import numpy as np

from outrider.monitor.places import Places


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
