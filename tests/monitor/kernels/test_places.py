"""The loops over maps, held against numpy and a search by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.monitor.kernels import places as kernels


def parts_by_hand(above):
    """The connected parts of a mask by breadth-first search, as sets of (y, x)."""
    left, parts = {tuple(map(int, at)) for at in np.argwhere(above)}, []
    while left:
        part, edge = set(), [min(left)]
        while edge:
            y, x = edge.pop()
            if (y, x) in left:
                left.remove((y, x))
                part.add((y, x))
                edge += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        parts.append(part)
    return parts


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.45, 0.7]))
def test_parts_are_those_of_a_search(height, width, seed, share):
    values = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    level = 1 - share
    labels, sizes, score = np.empty(values.size, np.int32), np.empty(values.size, np.int32), np.empty(1)
    kernels.label(values, level, labels)
    found = {}
    for p, root in enumerate(labels.tolist()):
        if root >= 0:
            found.setdefault(root, set()).add(divmod(p, width))
    expected = parts_by_hand(values > level)
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected))
    assert all(min(y * width + x for y, x in part) == root for root, part in found.items())
    kernels.largest_area(values[None], level, labels, sizes, score)
    highest = float(values.max())
    assert score[0] == max(map(len, expected), default=0) + highest / (1 + highest)


def test_a_value_on_the_level_is_not_above_it():
    values = np.array([[0.5, 0.5], [0.5, 0.25]], np.float32)
    labels = np.empty(4, np.int32)
    kernels.label(values, 0.5, labels)
    assert labels.tolist() == [-1] * 4


@pytest.mark.parametrize("half", [0, 1, 2, 5])
def test_box_means_count_what_is_there(half):
    maps = np.random.default_rng(0).random((2, 6, 4)).astype(np.float32)
    out, sums = np.empty_like(maps), np.empty((6, 4))
    kernels.box_means(maps, half, sums, out)
    for y in range(6):
        for x in range(4):
            box = maps[:, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            np.testing.assert_allclose(out[:, y, x], box.astype(float).mean((1, 2)), rtol=1e-6)


def test_places_come_to_the_grid_and_unknown_classes_are_infinite_there():
    values = np.array([1, 2, 3, 4, 5, np.inf, 7, 8], np.float32)  # two frames of 2 x 2 places
    classes = np.array([0, 1, 0, 0, 0, 0, 1, 0])
    grids, broken, out = np.zeros((2, 2, 4, 2), np.float32), np.zeros(2, np.uint8), np.zeros((2, 3), np.float32)
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1])
    kernels.take_places(values, classes, np.array([1, 0], np.uint8), rows, columns, 2, 1, grids, broken, 2, out)
    assert grids[0, 1].tolist() == [[1, np.inf], [1, np.inf], [3, 4], [3, 4]]
    assert grids[:, 0].max() == 0
    assert broken.tolist() == [0, 1]
    assert out[:, 2].tolist() == [4, np.inf]
    assert values[[1, 6]].tolist() == [np.inf, np.inf]


def test_surprise_is_the_mean_over_columns_and_bounded_for_infinity():
    knots, surprise = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0.0, 0.0], [4.0, 1.0]])
    grids = np.array([1.0, 3.0, np.inf, 2.0, 5.0, np.inf], np.float32).reshape(1, 2, 1, 3)
    out = np.empty((1, 1, 3), np.float32)
    kernels.mean_surprise(grids, knots, surprise, np.array([0.5, 2.0]), out)
    assert out[0, 0].tolist() == [(2 + 0.5) / 2, (4 + 2 + 1 + 1) / 2, (9 + 3) / 2]


def test_the_highest_place_and_broken_frames():
    score = np.empty(3)
    kernels.highest_place(np.arange(12, dtype=np.float32).reshape(3, 2, 2), score)
    assert score.tolist() == [3, 7, 11]
    flags = np.array([1, 0, 0], np.uint8), np.array([0, 0, 1], np.uint8)
    kernels.alarm_broken(*flags, np.ones((3, 2), np.float32), score)
    assert score.tolist() == [np.inf, 7, np.inf]
    for bad in (np.inf, np.nan):
        score[:] = 1
        kernels.alarm_broken(
            np.zeros(3, np.uint8), np.zeros(3, np.uint8), np.array([[1, 2], [1, bad], [0, 0]], np.float32), score
        )
        assert score.tolist() == [1, np.inf, 1]
