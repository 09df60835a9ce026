"""Detections that a network has decoded itself, as rows of six numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .decoder import ArrayDecoder, Candidates


@dataclass(frozen=True)
class DecodedRows(ArrayDecoder):
    """(n, k, 6), or (k, 6) for one frame: left, top, right, bottom in pixels, score, class.

    Rows that fill up have a score of 0 or a class below 0.
    """

    iou: float = 1.0
    name: ClassVar[str] = "rows"

    def _candidates(self, values: np.ndarray) -> Iterator[Candidates]:
        frames = values[None] if values.ndim == 2 else values
        if frames.ndim != 3 or frames.shape[2] != 6:
            raise ValueError(f"expected rows of six numbers (n, k, 6), got {values.shape}")
        for frame in frames.astype(np.float32):
            filled = frame[frame[:, 5] >= 0]
            yield Candidates(filled[:, :4], filled[:, 4], filled[:, 5].astype(np.int64))
