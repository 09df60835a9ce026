"""How many classes scores tell apart, by their shape."""

from __future__ import annotations

import pytest

from outrider.networks.scores import count_classes


@pytest.mark.parametrize(
    ("shape", "told", "axis", "expected"),
    [
        ((2, 2), "auto", 1, (2, None)),
        ((2, 1), "auto", 1, (None, None)),
        ((3, 5), "auto", 1, (None, None)),
        ((2, 5, 1), "auto", 1, (None, None)),
        ((2, None), "auto", 1, (None, None)),
        ("dict", "auto", 1, (None, None)),
        ((2, 5), 5, 3, (5, None)),
        ((2, 5), None, 1, (None, None)),
        ((2, 2, 7, 7), "pixel", 1, (None, 2)),
        ((2, 7, 7, 4), "pixel", -1, (None, 4)),
    ],
)
def test_scores_are_counted(shape, told, axis, expected):
    assert count_classes(shape, True, 2, told, axis) == expected


@pytest.mark.parametrize(
    ("shape", "floats", "told", "message"),
    [
        ((2, 5), True, 4, r"expected class scores of shape \(2, 4\) for a batch of 2, got \(2, 5\)"),
        ((2, 4), False, 4, r"expected class scores of shape \(2, 4\) for a batch of 2, got \(2, 4\)"),
        ("dict", False, 4, "got dict"),
        ((2, 5), True, 1, "expected classes 'auto', 'pixel', None or a number from 2, got 1"),
        ((2, 1, 7, 7), True, "pixel", r"of 2 classes or more, \(2, classes, height, width\), got \(2, 1, 7, 7\)"),
        ((2, None, 7, 7), True, "pixel", r"got \(2, None, 7, 7\)"),
    ],
)
def test_other_scores_are_refused(shape, floats, told, message):
    with pytest.raises(ValueError, match=message):
        count_classes(shape, floats, 2, told)
