"""The output of FastestDet (github.com/dog-qiuqiu/FastestDet)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .decoder import ArrayDecoder, Candidates


@dataclass(frozen=True)
class FastestDet(ArrayDecoder):
    """(n, 5 + classes, H, W): of each place an objectness, four numbers of a box, and class scores.

    The box lies at the place moved by tanh of the first two numbers, in places; sigmoids of the other two are its
    width and height as shares of the picture. A confidence is objectness ** 0.6 * class score ** 0.4, as in the
    project's own examples; its test program takes boxes of more than 0.65.
    stride: pixels of the input to a place.
    """

    score: float = 0.65
    stride: int = 16
    name: ClassVar[str] = "fastestdet"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride < 1:
            raise ValueError(f"expected stride of fastestdet of at least 1, got {self.stride}")

    def _candidates(self, values: np.ndarray) -> Iterator[Candidates]:
        if values.ndim != 4 or values.shape[1] < 6:
            raise ValueError(f"expected an output of FastestDet (n, 5 + classes, H, W), got {values.shape}")
        height, width = values.shape[2:]
        rows, columns = np.divmod(np.arange(height * width), width)
        for frame in values.reshape(len(values), values.shape[1], -1).astype(np.float32):
            scores = np.abs(frame[0]) ** 0.6 * np.abs(frame[5:].max(axis=0)) ** 0.4
            x, y = np.tanh(frame[1]) + columns, np.tanh(frame[2]) + rows
            wide, high = _sigmoid(frame[3]) * width / 2, _sigmoid(frame[4]) * height / 2
            boxes = np.stack([x - wide, y - high, x + wide, y + high], axis=1) * self.stride
            yield Candidates(boxes, scores, frame[5:].argmax(axis=0))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = 0.5 * (1 + np.tanh(0.5 * values))
    return found
