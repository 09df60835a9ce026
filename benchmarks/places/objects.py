"""What CamVid's labels say of a COCO detector's boxes: which are right, and which objects no box covers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from .camvid import ANIMAL, VOID

SIGN, CAR, PEDESTRIAN, BICYCLIST = 6, 8, 9, 10
AS_CAMVID = {
    0: (PEDESTRIAN, BICYCLIST),  # person
    1: (BICYCLIST,),  # bicycle
    2: (CAR,),  # car
    3: (BICYCLIST,),  # motorcycle
    5: (CAR,),  # bus
    7: (CAR,),  # truck
    9: (SIGN,),  # traffic light
    11: (SIGN,),  # stop sign
}
"""The labels of CamVid that a class of COCO shows; a box of any other class is wrong."""
SHARE = 0.3
"""A box is right, or on an animal, where so many of its pixels say so."""
SMALLEST = 0.004
"""The smallest object that counts, as a share of the picture."""


def said_of(box: Sequence[float], class_index: int, labels: np.ndarray) -> str:
    """``right``, ``wrong``, ``animal``, or ``void`` where labels say nothing of most of it.

    box: (left, top, right, bottom) in pixels of `labels`, (height, width).
    """
    pixels = pixels_of(box, labels)
    if not pixels.size or (pixels == VOID).mean() > 0.5:
        return "void"
    if (pixels == ANIMAL).mean() >= SHARE:
        return "animal"
    return "right" if np.isin(pixels, AS_CAMVID.get(class_index, ())).mean() >= SHARE else "wrong"


def pixels_of(box: Sequence[float], values: np.ndarray) -> np.ndarray:
    """The part of `values`, (height, width), that a box covers."""
    height, width = values.shape
    left, right = np.clip(np.round([box[0], box[2]]), 0, width).astype(int)
    top, bottom = np.clip(np.round([box[1], box[3]]), 0, height).astype(int)
    return values[top:bottom, left:right]


def objects_in(labels: np.ndarray) -> list[np.ndarray]:
    """The cars, the pedestrians and bicyclists, and the animals of a picture: a mask (height, width) bool each.

    An object is a connected part of its label that is large enough; cars in a row are one.
    """
    found = []
    for classes in ((CAR,), (PEDESTRIAN, BICYCLIST), (ANIMAL,)):
        parts, count = ndimage.label(np.isin(labels, classes), np.ones((3, 3)))
        masks = (parts == k for k in range(1, count + 1))
        found += [mask for mask in masks if mask.mean() >= SMALLEST]
    return found


def covered_by(boxes: Sequence[Sequence[float]], mask: np.ndarray) -> float:
    """The share of a mask's pixels that lie in one of the boxes."""
    covered = np.zeros(mask.shape, bool)
    for box in boxes:
        pixels_of(box, covered)[:] = True
    return float(covered[mask].mean())
