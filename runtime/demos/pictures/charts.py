"""The numbers behind the page's charts, and its pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

BINS = 40


def histogram(confidence: np.ndarray) -> list[float]:
    """The heights of `BINS` bars over [0, 1], the tallest 1. confidence: (n,) in [0, 1]."""
    counts, _ = np.histogram(confidence, BINS, (0, 1))
    return (counts / counts.max()).tolist()


def roc(covered: np.ndarray, others: np.ndarray) -> list[tuple[float, float]]:
    """(false alarms, caught) as shares, for every threshold there is, from both scores (n,) and (m,)."""
    levels = np.unique(np.concatenate([covered, others]))[::-1]
    false = 1 - np.searchsorted(np.sort(covered), levels) / len(covered)
    caught = 1 - np.searchsorted(np.sort(others), levels) / len(others)
    return [(0.0, 0.0), *zip(false.tolist(), caught.tolist(), strict=True)]


def picture(image: np.ndarray) -> str:
    """A (3, height, width) float32 image in [0, 1] as the address of an inline PNG."""
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
