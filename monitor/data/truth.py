"""The true boxes of frames, given as labels of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...networks import Detections
from ...networks.detections.found import as_array, overlaps

_OVERLAP = 0.5
"""The least intersection over union of a detection that is right, as of PASCAL VOC."""
_CLASSES = "labels", "classes"


def are_boxes(labels: Any) -> bool:
    """Whether labels are boxes: a list with a mapping or a tuple of them for each frame."""
    if isinstance(labels, np.ndarray):
        return labels.dtype == object and labels.ndim == 1
    if not isinstance(labels, (list, tuple)) or not labels:
        return False
    return all(
        isinstance(one, Mapping) or (isinstance(one, tuple) and len(one) in (2, 3) and not np.isscalar(one[0]))
        for one in labels
    )


def boxes_as_array(labels: Any) -> np.ndarray:
    """(n,) of objects: the true boxes of each frame, `Detections` with scores of 1.

    labels: of each frame a mapping with ``boxes`` (k, 4) and ``labels`` or ``classes`` (k,), as torchvision's detectors
    are trained with; a pair of such arrays; or `Detections`. Raises ValueError for anything else.
    """
    found = np.empty(len(labels), object)
    for i, one in enumerate(labels):
        found[i] = _truth(one)
    return found


def _truth(one: Any) -> Detections:
    if isinstance(one, Mapping):
        key = next((name for name in _CLASSES if name in one), None)
        if "boxes" not in one or key is None:
            raise ValueError(f"expected true boxes as a mapping with boxes and labels, got {', '.join(map(str, one))}")
        one = one["boxes"], one[key]
    boxes, classes = as_array(one[0]), as_array(one[-1])
    boxes, classes = boxes.reshape(-1, 4) if not boxes.size else boxes, classes.reshape(-1)
    return Detections.of(boxes, np.ones(len(classes), np.float32), classes)


def right(found: Detections, truth: Detections) -> np.ndarray:
    """(k,) bool: whether each detection is one of the true boxes.

    It has an intersection over union of at least 0.5 with one of its class. The surest detection takes first, and each
    true box is taken once.
    """
    free, matched = np.ones(len(truth.classes), bool), np.zeros(len(found.classes), bool)
    shared = overlaps(found.boxes.astype(np.float64), truth.boxes.astype(np.float64))
    for i in np.argsort(-found.scores, kind="stable").tolist():
        fitting = np.where(free & (truth.classes == found.classes[i]), shared[i], -1.0)
        best = int(fitting.argmax()) if len(fitting) else -1
        if best >= 0 and fitting[best] >= _OVERLAP:
            matched[i], free[best] = True, False
    return matched
