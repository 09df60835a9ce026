"""Groups of columns: who is judged with whom, and who has how many votes."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, Margin, RelativeMahalanobis, SingleRange, Softmax
from outrider.monitor.data.groups import Groups, as_groups, groups_of
from outrider.monitor.profile import Column

RELATIVE = RelativeMahalanobis()


def columns(*pairs):
    return [Column(criterion, tap, group) for tap, (criterion, group) in enumerate(pairs)]


def listed(arrays):
    return [array.tolist() for array in arrays]


def test_a_default_with_several_layers():
    criteria = [Mahalanobis()] * 2 + [RELATIVE] * 2 + [SingleRange()] * 2 + [Margin(), RELATIVE]
    groups = groups_of(columns(*zip(criteria, (0, 0, 1, 1, 2, 3, 4, 5), strict=True)))
    assert groups.of.tolist() == [0, 0, 1, 1, 2, 3, 4, 5]
    assert groups.ends.tolist() == [2, 4, 5, 6, 7, 8]
    assert groups.confidence == 6
    assert groups.following.tolist() == [2, 3, 7]
    assert groups.ends_of_following.tolist() == [2, 3]
    sums, highest = [[0, 1], [2, 3], [4], [5], [6], [7]], [[0, 1], [2, 3]]
    assert listed(groups.parts()) == [*sums, *highest, [2, 3], [7], [2, 3]]
    # Six groups have a sixth each. The second has a sum, a highest, and both again given the margin.
    sixths = [1 / 2, 1 / 4, 1, 1, 1, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 2, 1 / 4]
    np.testing.assert_allclose(groups.votes(), np.array(sixths) / 6, rtol=1e-15)
    assert groups.votes().sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("criteria", "confidence", "given"),
    [
        ([RELATIVE, Mahalanobis()], -1, [False, False]),
        ([RELATIVE, Softmax()], 1, [True, False]),
        ([Margin(), RELATIVE, Softmax()], 0, [False, True, False]),
        ([Margin()], 0, [False]),
        ([RELATIVE], -1, [False]),
    ],
)
def test_what_is_given_needs_what_tells_the_confidence(criteria, confidence, given):
    groups = groups_of(columns(*((criterion, group) for group, criterion in enumerate(criteria))))
    assert groups.confidence == confidence
    assert groups.given.tolist() == given
    assert groups.following.tolist() == np.flatnonzero(given).tolist()
    assert len(groups.parts()) == len(criteria) + sum(given)


def test_columns_that_are_all_given_or_alone():
    alone = as_groups(np.array([0]))
    assert listed(alone.parts()) == [[0]]
    assert alone.votes().tolist() == [1]
    every = Groups(np.array([0, 0, 1]), np.ones(3, bool), 2)
    assert listed(every.parts()) == [[0, 1], [2], [0, 1], [0, 1], [2], [0, 1]]
    np.testing.assert_allclose(every.votes(), [1 / 8, 1 / 4, 1 / 8, 1 / 8, 1 / 4, 1 / 8], rtol=1e-15)


def test_some_columns_of_a_group_may_be_given():
    """A group of a logic of one's own may hold several criteria; the part that is given has the members it has."""
    groups = Groups(np.array([0, 0, 0, 1]), np.array([True, False, True, False]), 3)
    assert groups.ends_of_following.tolist() == [2]
    assert listed(groups.parts()) == [[0, 1, 2], [3], [0, 1, 2], [0, 2], [0, 2]]
    np.testing.assert_allclose(groups.votes(), [1 / 8, 1 / 2, 1 / 8, 1 / 8, 1 / 8], rtol=1e-15)


def test_numbers_alone_are_groups_of_which_nothing_is_given():
    groups = as_groups(np.array([0, 1, 1], np.int32))
    assert (groups.confidence, groups.given.any(), groups.ends.tolist()) == (-1, False, [1, 3])
    assert groups.following.size == groups.ends_of_following.size == 0
    assert as_groups(groups) is groups
