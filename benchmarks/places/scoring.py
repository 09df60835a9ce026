"""How well maps show pasted objects: pixel by pixel, and frame by frame under the rule of the largest area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_curve

from outrider.monitor import auroc

from .camvid import ANIMAL, VOID

TOUCHING = np.ones((3, 3))  # places touch along sides and corners
MOST_CLEAN = 0.1
"""The share of clean frames that may alarm where methods are compared."""


@dataclass(frozen=True)
class Areas:
    """The largest connected part above a level in each of n maps: its score (n,), and where it is (n, h, w) bool."""

    scores: np.ndarray
    where: np.ndarray


def box_means(maps: np.ndarray, side: int) -> np.ndarray:
    """Maps (n, h, w) averaged over boxes of side x side places, of those that lie within the map."""
    size = 0, side, side
    inside = ndimage.uniform_filter(np.ones((1, *maps.shape[1:])), size, mode="constant")
    return ndimage.uniform_filter(maps.astype(np.float64), size, mode="constant") / inside


def pixel_figures(maps: np.ndarray, labels: np.ndarray, every: int = 2) -> dict[str, float]:
    """AUROC, AUPR and FPR95 of the animals' pixels against all others; void is left out.

    maps: (n, h, w). labels: (n, height, width). Maps are interpolated to pixels. Of rows and columns each `every`-th
    counts. AUPR is the average precision. FPR95 is the share of other pixels above the value that 95 % of the animals'
    exceed.
    """
    height, width = labels.shape[1:]
    large = [
        np.asarray(Image.fromarray(np.float32(one)).resize((width, height), Image.Resampling.BILINEAR)) for one in maps
    ]
    values = np.stack([one[::every, ::every] for one in large])
    labels = labels[:, ::every, ::every]
    known = labels != VOID
    values, animal = values[known], labels[known] == ANIMAL
    false, true, _ = roc_curve(animal, values)
    return {
        "AUROC": auroc(values[~animal], values[animal]),
        "AUPR": float(average_precision_score(animal, values)),
        "FPR95": float(false[np.searchsorted(true, 0.95)]),
    }


def largest_areas(maps: np.ndarray, level: float) -> Areas:
    """The rule of `outrider.monitor.LargestArea`, for maps of others: places above the level, and m / (1 + m) more.

    m is the highest value of the map less the level, at least 0, so that it orders whatever has no scale.
    """
    where = np.zeros(maps.shape, bool)
    scores = np.empty(len(maps))
    for i, one in enumerate(maps):
        parts, count = ndimage.label(one > level, TOUCHING)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        highest = max(float(one.max()) - level, 0.0)
        scores[i] = sizes.max(initial=0) + highest / (1 + highest)
        if count:
            where[i] = parts == 1 + int(sizes.argmax())
    return Areas(scores, where)


def in_places(animals: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Where at least half of a place is animal: (n, height, width) bool to (n, *shape) bool."""
    size = shape[::-1]
    shares = [np.asarray(Image.fromarray(np.float32(one)).resize(size, Image.Resampling.BOX)) for one in animals]
    return np.stack(shares) >= 0.5


def threshold_at(clean: np.ndarray, share: float = MOST_CLEAN) -> float:
    """The smallest threshold above which at most a share of clean frames lies."""
    return float(np.quantile(clean, 1 - share, method="higher"))


def hits(found: Areas, animals: np.ndarray, threshold: float) -> np.ndarray:
    """The frames that alarm and whose largest area meets the animal: (n,) bool. animals: (n, h, w) bool, in places."""
    return (found.scores > threshold) & (found.where & animals).any((1, 2))


def overlap(found: Areas, animals: np.ndarray) -> float:
    """The mean over frames of intersection over union of the largest area with the animal."""
    either = (found.where | animals).sum((1, 2))
    return float(np.mean((found.where & animals).sum((1, 2)) / np.maximum(either, 1)))
