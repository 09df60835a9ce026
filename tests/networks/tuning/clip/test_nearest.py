from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.tuning.clip.nearest import Frozen, nearest_captions, nearest_pictures, targets


def unit(*rows):
    values = np.array(rows, np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


SAFE = unit([1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0])
UNSAFE = unit([3, 1, 0], [0, 1, 0.1], [1, 0.9, 2], [0, -1, 0])
FROZEN = Frozen(SAFE, UNSAFE, SAFE[::-1], UNSAFE[::-1])


def test_the_nearest_caption_is_the_one_of_the_highest_cosine():
    wanted = []
    for one in UNSAFE:
        cosines = [float(np.dot(one, other)) for other in SAFE]
        wanted.append(cosines.index(max(cosines)))  # the first of equal ones
    assert wanted == [0, 1, 2, 0]
    np.testing.assert_array_equal(nearest_captions(UNSAFE, SAFE), wanted)
    np.testing.assert_array_equal(targets(FROZEN, "nearest"), wanted)


def test_a_partner_is_ones_own_and_a_fixed_target_that_of_all():
    np.testing.assert_array_equal(targets(FROZEN, "partner"), [0, 1, 2, 3])
    np.testing.assert_array_equal(targets(FROZEN, "fixed", row=3), [3, 3, 3, 3])


@pytest.mark.parametrize("row", [None, -1, 4])
def test_a_fixed_target_needs_a_row_that_is_there(row):
    with pytest.raises(ValueError, match=rf"^expected the row of a fixed target from 0 to 3, got {row}$"):
        targets(FROZEN, "fixed", row=row)


def test_another_target_is_refused():
    with pytest.raises(ValueError, match=r"^expected a target among nearest, partner, fixed, got 'safest'$"):
        targets(FROZEN, "safest")


def test_of_pictures_with_the_chosen_caption_the_nearest_is_taken():
    captions = ["bridge", "house", "house", "bridge"]
    chosen = np.array([0, 1, 2, 0])
    wanted = []
    for row, caption in enumerate(["bridge", "house", "house", "bridge"]):
        rows = [i for i, one in enumerate(captions) if one == caption]
        cosines = [float(FROZEN.unsafe_image[row] @ FROZEN.safe_image[i]) for i in rows]
        wanted.append(rows[cosines.index(max(cosines))])
    assert wanted == [3, 1, 2, 3]
    np.testing.assert_array_equal(nearest_pictures(FROZEN, chosen, captions), wanted)
