"""The outputs of torchvision's detectors, and of their exports to ONNX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .decoder import BoxDecoder, Candidates
from .found import as_array

_KEYS = "boxes", "labels", "scores"


@dataclass(frozen=True)
class TorchvisionList(BoxDecoder):
    """A list with a dict of boxes (k, 4), labels (k,) and scores (k,) for each frame.

    These three as a tuple, as an exported model returns them for one frame, are taken too. Class 0 is the background
    in torchvision's own models; labels stay as they are. Further entries, as masks, are left alone.
    """

    iou: float = 1.0
    name: ClassVar[str] = "torchvision"

    def _frames(self, output: Any) -> Iterator[Candidates]:
        if isinstance(output, Mapping):
            output = [output]
        if isinstance(output, tuple) and not all(isinstance(one, Mapping) for one in output):
            output = [dict(zip(_KEYS, output, strict=False))]
        if not isinstance(output, (list, tuple)):
            raise ValueError(f"expected a list of dicts with {', '.join(_KEYS)}, got {type(output).__name__}")
        for frame in output:
            told = dict(zip(_KEYS, frame, strict=False)) if isinstance(frame, tuple) else frame
            if not isinstance(told, Mapping) or not set(_KEYS) <= set(told):
                got = ", ".join(map(str, told)) if isinstance(told, Mapping) else type(frame).__name__
                raise ValueError(f"expected dicts with {', '.join(_KEYS)}, got {got}")
            boxes, labels, scores = (as_array(told[key]) for key in _KEYS)
            yield Candidates(boxes, scores, labels)
