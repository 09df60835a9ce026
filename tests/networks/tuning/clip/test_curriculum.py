from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.tuning.clip.curriculum import curriculum, levels, places
from outrider.networks.tuning.order import batches
from outrider.networks.tuning.schedule import Schedule


def test_the_most_similar_third_is_easy():
    np.testing.assert_array_equal(levels(np.array([0.1, 0.9, 0.5, 0.8, 0.2, 0.6])), [2, 0, 1, 0, 2, 1])


def test_equal_pairs_keep_their_order_and_sizes_differ_by_one():
    np.testing.assert_array_equal(levels(np.zeros(7)), [0, 0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(levels(np.array([0.3])), [0])
    np.testing.assert_array_equal(levels(np.array([0.3, 0.4])), [1, 0])


@pytest.mark.parametrize("similarity", [[], [[0.1]], [0.1, np.nan]])
def test_similarities_that_are_none_are_refused(similarity):
    with pytest.raises(ValueError, match=r"^expected finite similarities \(n,\), n at least 1, got shape "):
        levels(np.array(similarity))


def test_easy_ones_come_first_then_medium_ones_as_well_then_all():
    similarity = np.random.default_rng(3).random(12)
    order = np.argsort(-similarity)
    draws = curriculum(similarity, 4 + 8 + 12 + 12, seed=1)
    assert set(draws[:4]) == set(order[:4])
    assert sorted(draws[4:12]) == sorted(order[:8])
    assert sorted(draws[12:24]) == sorted(draws[24:]) == list(range(12))
    assert list(draws[12:24]) != list(draws[24:])


def test_it_ends_where_the_draws_end_and_follows_from_the_seed():
    similarity = np.linspace(0, 1, 9)
    whole = curriculum(similarity, 40, seed=2)
    np.testing.assert_array_equal(curriculum(similarity, 7, seed=2), whole[:7])
    assert list(curriculum(similarity, 40, seed=3)) != list(whole)


def test_training_draws_the_places_in_the_order_of_the_draws():
    schedule = Schedule(steps=5, batch=4, rate=1e-3, seed=9)
    draws = curriculum(np.linspace(0, 1, 9), 20, seed=9)
    stand = places(draws, schedule)
    drawn = [stand[i] for batch in batches(20, 4, 5, 9) for i in batch]
    assert drawn == list(draws)
    with pytest.raises(ValueError, match=r"^expected 20 draws, 5 steps of 4, got 19$"):
        places(draws[:-1], schedule)
