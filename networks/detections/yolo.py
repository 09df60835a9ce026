"""The outputs of exported YOLO models, as ultralytics writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .decoder import ArrayDecoder, Candidates

_VERSIONS = "auto", "v5", "v8"


@dataclass(frozen=True)
class Yolo(ArrayDecoder):
    """(n, 4 + classes, anchors) of v8 and later, or (n, anchors, 5 + classes) of v5, of which the fifth is objectness.

    Boxes are (middle x, middle y, width, height) in pixels of the input. A confidence is the highest class score, for
    v5 times the objectness. Models exported with suppression inside (n, k, 6) are `rows`.
    version: ``v5``, ``v8``, or ``auto``: the longer axis is that of the anchors. classes: how many, where other numbers
    stand behind the class scores (masks, key points); 0: all that there are.
    """

    score: float = 0.25
    iou: float = 0.7
    version: str = "auto"
    classes: int = 0
    name: ClassVar[str] = "yolo"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version not in _VERSIONS:
            raise ValueError(f"expected version of yolo {', '.join(_VERSIONS)}, got {self.version!r}")
        if self.classes < 0:
            raise ValueError(f"expected classes of yolo of at least 0, got {self.classes}")

    def _candidates(self, values: np.ndarray) -> Iterator[Candidates]:
        version = self.version
        if version == "auto":
            version = "v8" if values.ndim == 3 and values.shape[1] < values.shape[2] else "v5"
        first = 4 if version == "v8" else 5
        numbers = 0 if values.ndim != 3 else values.shape[1 if version == "v8" else 2]
        if numbers < first + max(self.classes, 1):
            raise ValueError(
                f"expected an output of yolo (n, 4 + classes, anchors) or (n, anchors, 5 + classes), got {values.shape}"
            )
        for frame in values.astype(np.float32):
            rows = frame.T if version == "v8" else frame
            of_classes = rows[:, first : first + self.classes if self.classes else None]
            scores = of_classes.max(axis=1) * (rows[:, 4] if first == 5 else 1)
            half = rows[:, 2:4] / 2
            boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
            yield Candidates(boxes, scores, of_classes.argmax(axis=1))
