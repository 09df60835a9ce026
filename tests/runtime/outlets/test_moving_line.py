"""The line that moves over a terminal, dot by dot."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.outlets.moving_line import moving_line


def dots(lines):
    """The dots of braille as an array (4 * lines, 2 * characters) of bool, by the table of Unicode."""
    rows = []
    for line in lines:
        codes = [ord(sign) - 0x2800 if 0x2800 <= ord(sign) < 0x2900 else 0 for sign in line.plain]
        for left, right in ((0, 3), (1, 4), (2, 5), (6, 7)):
            rows.append([bool(code >> bit & 1) for code in codes for bit in (left, right)])
    return np.array(rows)


def colours(line):
    return {line.plain[span.start]: span.style for span in line.spans}


def test_every_value_stands_at_its_height():
    values = np.linspace(0, 2, 20)
    drawn = dots(moving_line(values, 10))
    assert drawn.shape == (20, 20)
    lowest = 19 - np.argmax(drawn[::-1], axis=0)
    assert np.abs(lowest[1:] - (19 - values[:-1] * 19 / 2)).max() <= 1  # each begins where the one before ended
    assert drawn[0, -1]
    assert drawn[19, 0]


def test_a_constant_is_a_level_line():
    drawn = dots(moving_line([0.5] * 20, 10))
    assert drawn.sum() == 20
    assert len(set(np.argwhere(drawn)[:, 0])) == 1


def test_the_newest_is_at_the_right_and_the_oldest_fall_out():
    drawn = dots(moving_line([2.0] * 50 + [0.0] * 4, 10))
    assert drawn[19, -4:].all()
    assert drawn[0, :-4].all()
    few = dots(moving_line([0.0, 0.0], 10))
    assert few.any(axis=0).tolist() == [False] * 18 + [True] * 2


@pytest.mark.parametrize("value", [2.5, 1e30, np.inf, np.nan])
def test_what_is_beyond_the_scale_stands_at_the_top(value):
    drawn = dots(moving_line([value, value], 1))
    assert drawn[0].all()
    assert drawn.sum() == 2


def test_the_threshold_is_marked_in_the_middle_where_no_line_is():
    lines = moving_line([0.1] * 4, 10)
    assert [line.plain.count("╌") for line in lines] == [0, 0, 10, 0, 0]
    assert moving_line([], 10)[2].plain == "╌" * 10
    assert "╌" not in moving_line([1.0] * 20, 10)[2].plain


def test_above_the_threshold_is_red():
    below, above = moving_line([1.0, 1.0], 1), moving_line([1.0, 1.01], 1)
    assert set(colours(below[2]).values()) == {"green"}
    assert set(colours(above[2]).values()) == {"red"}
    assert set(colours(moving_line([np.nan, 0.5], 1)[0]).values()) == {"red"}
