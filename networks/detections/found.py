"""What a detector found in one frame, and how much two boxes have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Detections(NamedTuple):
    """The objects that a detector found in one frame.

    boxes: (k, 4) float32, (left, top, right, bottom) in pixels of the network's input. scores: (k,) float32, how sure
    the network is of each, up to 1. classes: (k,) int64, from 0, in the order of the network's own classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, boxes: Any, scores: Any, classes: Any) -> Detections:
        """The detections of any arrays or tensors. Raises ValueError for other shapes, and for classes below 0."""
        boxes, scores, classes = as_array(boxes), as_array(scores), as_array(classes)
        k = len(boxes) if boxes.ndim else -1
        if boxes.shape != (k, 4) or scores.shape != (k,) or classes.shape != (k,):
            raise ValueError(
                "expected boxes (k, 4), scores (k,) and classes (k,) of a frame, got"
                f" {boxes.shape}, {scores.shape} and {classes.shape}"
            )
        if classes.size and not classes.min() >= 0:
            raise ValueError(f"expected classes of 0 and above, got {classes.min()}")
        return cls(
            np.ascontiguousarray(boxes, np.float32),
            np.ascontiguousarray(scores, np.float32),
            np.ascontiguousarray(classes, np.int64),
        )


Decode = Callable[[Any], list[Detections]]
"""What makes of the output for a batch the detections in each of its frames."""


def detected(decode: Decode, output: Any, frames: int) -> list[Detections]:
    """What a decoder finds in an output for so many frames, each checked to be `Detections`.

    Raises what the decoder raises, TypeError where it gives no detections, ValueError for another number of frames.
    """
    found: Any = decode(output)
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, tuple) and len(one) == 3 for one in found):
        raise TypeError(
            f"expected a decoder that returns a list of Detections, one for each frame, got {type(found).__name__} of"
            f" {type(found[0]).__name__ if isinstance(found, (list, tuple)) and found else 'nothing'}"
        )
    if len(found) != frames:
        raise ValueError(f"expected the detections of each of {frames} frames, got those of {len(found)}")
    return [Detections.of(*one) for one in found]


def as_array(values: Any) -> np.ndarray:
    """An array or a tensor, on any device, as an array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def picked(output: Any, index: int) -> Any:
    """One of the outputs of a network: in their order, or the only one. Raises ValueError where there are fewer."""
    several = list(output.values()) if isinstance(output, Mapping) else output
    if not isinstance(several, (list, tuple)):
        several = [several]
    if index >= len(several):
        raise ValueError(f"expected detections in output {index}, got {len(several)} outputs, counted from 0")
    return several[index]


def areas(boxes: np.ndarray) -> np.ndarray:
    """The areas of boxes (k, 4), (k,); 0 for one whose right or bottom is not beyond its left or top."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    area: np.ndarray = sides[:, 0] * sides[:, 1]
    return area


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The intersection over union of each of the boxes a (m, 4) with each of b (n, 4): (m, n), 0 without area."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    common = sides[..., 0] * sides[..., 1]
    union = areas(a)[:, None] + areas(b)[None] - common
    return np.divide(common, union, out=np.zeros(union.shape), where=union > 0)
