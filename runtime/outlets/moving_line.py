"""A line that moves over the terminal, drawn in the dots of braille characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.text import Text

# The bit of each dot of a braille character: four rows of two columns.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
_TOP = 2.0


def moving_line(ratios: Sequence[float], width: int, height: int = 5) -> list[Text]:
    """Scores against their thresholds as `height` lines of `width` characters, the newest of `ratios` at the right.

    ratios: score / threshold, two to a character; those beyond the width are left out. The scale goes from 0 to 2, with
    a mark at the threshold, 1. A ratio beyond 2, or no number, stands at the top. Red: above the mark.
    """
    rows = 4 * height
    values = np.array(ratios[-2 * width :], np.float64)
    above = ~(values <= 1)
    values = np.where(values <= _TOP, values, _TOP)
    levels = np.rint((1 - values / _TOP) * (rows - 1)).astype(int)
    canvas = np.zeros((rows, 2 * width), bool)
    start = 2 * width - len(levels)
    for column, (level, before) in enumerate(zip(levels, (*levels[:1], *levels[:-1]), strict=True), start):
        canvas[min(level, before) : max(level, before) + 1, column] = True
    cells = canvas.reshape(height, 4, width, 2).transpose(0, 2, 1, 3) * _DOTS
    codes = cells.sum(axis=(2, 3))
    columns = np.zeros(2 * width, bool)
    columns[start:] = above
    red = columns[::2] | columns[1::2]
    threshold = (rows - 1) // 2 // 4
    return [_line(codes[row], red, row == threshold) for row in range(height)]


def _line(codes: np.ndarray, red: np.ndarray, is_threshold: bool) -> Text:
    line = Text(no_wrap=True)
    for code, above in zip(codes, red, strict=True):
        if code:
            line.append(chr(0x2800 + int(code)), "red" if above else "green")
        else:
            line.append("╌" if is_threshold else " ", "dim")
    return line
