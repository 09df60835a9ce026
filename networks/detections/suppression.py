"""Non-maximum suppression: of boxes of one class that overlap, the surest stays."""

from __future__ import annotations

import numpy as np

from .found import overlaps


def kept(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float, most: int) -> np.ndarray:
    """The indices of the detections that stay, the surest first, at most so many.

    A box goes where it has an intersection over union of more than `iou` with a surer one of its class that stays.
    boxes: (k, 4); scores, classes: (k,). With iou 1 all stay.
    """
    order = np.argsort(-scores, kind="stable")
    if iou >= 1:
        return order[:most]
    chosen: list[int] = []
    while len(order) and len(chosen) < most:
        first, order = int(order[0]), order[1:]
        chosen.append(first)
        above = overlaps(boxes[first : first + 1], boxes[order])[0] > iou
        order = order[~(above & (classes[order] == classes[first]))]
    return np.array(chosen, np.int64)
