"""Where unsafe items are redirected to: the nearest safe caption, a partner of their own, or one for all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TARGETS = "nearest", "partner", "fixed"


class Frozen(NamedTuple):
    """What the encoder makes of n quadruples before it is tuned: (n, width) float32 each, of unit length."""

    safe_text: np.ndarray
    unsafe_text: np.ndarray
    safe_image: np.ndarray
    unsafe_image: np.ndarray


def nearest_captions(unsafe_text: np.ndarray, safe_text: np.ndarray) -> np.ndarray:
    """The safe caption of the highest cosine to each unsafe one, (n,) int64: SafeR-CLIP's target (arXiv 2511.16743).

    unsafe_text: (n, width), safe_text: (m, width), of unit length, of the frozen text encoder. Of equal ones the first.
    """
    return np.argmax(unsafe_text @ safe_text.T, axis=1)


def targets(frozen: Frozen, target: str, *, row: int | None = None) -> np.ndarray:
    """The quadruple whose safe item each quadruple's unsafe item goes to, (n,) int64.

    target: ``nearest``, by the captions; ``partner``, its own safe item, as in Safe-CLIP; ``fixed``, that of the
    quadruple `row` for all. Raises ValueError for another target.
    """
    number = len(frozen.safe_text)
    if target == "nearest":
        return nearest_captions(frozen.unsafe_text, frozen.safe_text)
    if target == "partner":
        return np.arange(number)
    if target == "fixed" and row is not None and 0 <= row < number:
        return np.full(number, row, np.int64)
    if target == "fixed":
        raise ValueError(f"expected the row of a fixed target from 0 to {number - 1}, got {row!r}")
    raise ValueError(f"expected a target among {', '.join(TARGETS)}, got {target!r}")


def nearest_pictures(frozen: Frozen, chosen: np.ndarray, captions: list[str]) -> np.ndarray:
    """Of the quadruples with the caption of the chosen one, the picture nearest to each unsafe picture, (n,) int64.

    captions: the n safe ones. The paper has one picture for a caption; that several are told apart so is ours.
    """
    _, number = np.unique(captions, return_inverse=True)
    found = np.empty(len(chosen), np.int64)
    for caption in np.unique(number[chosen]):
        rows, places = np.flatnonzero(number[chosen] == caption), np.flatnonzero(number == caption)
        best = np.argmax(frozen.unsafe_image[rows] @ frozen.safe_image[places].T, axis=1)
        found[rows] = places[best]
    return found
