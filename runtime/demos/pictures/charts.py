"""The curves of the page, and its pictures."""

from __future__ import annotations

import numpy as np

from ...pages import inline_picture


def roc(covered: np.ndarray, others: np.ndarray) -> list[tuple[float, float]]:
    """(false alarms, caught) as shares, for every threshold, from both scores (n,) and (m,)."""
    levels = np.unique(np.concatenate([covered, others]))[::-1]
    false = 1 - np.searchsorted(np.sort(covered), levels) / len(covered)
    caught = 1 - np.searchsorted(np.sort(others), levels) / len(others)
    return [(0.0, 0.0), *zip(false.tolist(), caught.tolist(), strict=True)]


def picture(image: np.ndarray) -> str:
    """A (3, height, width) float32 image in [0, 1] as the address of an inline PNG."""
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    return inline_picture(pixels, optimize=True)
