"""What a rival is, what it learns from, and how it is run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from ..kept import Scores
from ..scoring import by_threshold
from .parts import Parts, parts

BATCH = 250
OF_GRADIENTS = 50
"""How many images go through at once where gradients are kept: 250 of MobileNetV2 would hold 7 GB."""
Scorer = Callable[[np.ndarray], np.ndarray]
"""Takes images (n, channels, height, width) float32 in [0, 1], gives (n,) floats, higher = stranger."""


class Ground:
    """What every rival learns from: the network and the profiled images with their labels.

    images: (n, channels, height, width) uint8. labels: (n,) int64.
    """

    def __init__(self, module: nn.Module, images: np.ndarray, labels: np.ndarray):
        self.module = module.eval().requires_grad_(True)  # some detectors follow gradients from the weights
        self.images, self.labels = images, labels
        self._first: dict[int, Ground] = {}
        self._kept: dict[str, dict[int, tuple[np.ndarray, Tensor]]] = {}

    @cached_property
    def parts(self) -> Parts:
        return parts(self.module)

    @property
    def classes(self) -> int:
        return self.parts.last.out_features

    def first(self, count: int) -> Ground:
        """The same of `count` profiled images, chosen at random."""
        if count >= len(self.images):
            return self
        if count not in self._first:
            rows = np.sort(np.random.default_rng(0).permutation(len(self.images))[:count])
            self._first = {count: Ground(self.module, np.ascontiguousarray(self.images[rows]), self.labels[rows])}
        return self._first[count]

    def read(self, kind: str, images: np.ndarray) -> Tensor:
        """The "logits", "features", "pooled" or "feature_maps" of images, uint8 or float32.

        "pooled" are the means of the channels of all stages and the features, side by side. They are read once for each
        array and kept; features and logits come from them. Of the maps only the last ones asked for by a kind are kept.
        """
        width = self.parts.last.in_features
        if kind == "logits":
            with torch.no_grad():
                return self.parts.last(self.read("features", images))
        if kind == "features":
            return self.read("pooled", images)[:, -width:]
        if kind != "feature_maps":
            self._kept.pop("feature_maps", None)
        kept = self._kept.setdefault(kind, {})
        if id(images) not in kept:
            kept[id(images)] = (images, self._through(kind, images))
        return kept[id(images)][1]

    def loader(self, size: int = BATCH) -> Loader:
        return Loader(self.images, self.labels, size)

    @torch.no_grad()
    def _through(self, kind: str, images: np.ndarray) -> Tensor:
        p = self.parts
        if kind == "pooled":
            return torch.cat([torch.cat(p.pooled(x), 1) for x in split(images)])
        return torch.cat([p.backbone(x) for x in split(images)])


class Loader:
    """Batches (float images, labels) of a training split held as uint8."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, size: int = BATCH):
        self.images, self.labels, self.size = images, torch.from_numpy(labels), size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from zip(split(self.images, self.size), self.labels.split(self.size), strict=True)

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.size)


@dataclass(frozen=True)
class Rival:
    """A detector of another library.

    name: as in the table, its library before it. setting: what was set, in words. fit: learns, gives what scores.
    limit: how many images of each column it judges, where it is slow. profiled: how many images it learns from.
    """

    name: str
    setting: str
    fit: Callable[[Ground], Scorer]
    limit: int | None = None
    profiled: int | None = None


class Judged:
    """What rivals judge: held-out images for the threshold, and the columns, the clean one first.

    Images are (n, channels, height, width) float32 in [0, 1]. drives: the drive of each held-out image, or None.
    """

    def __init__(self, held_out: np.ndarray, columns: Sequence[np.ndarray], drives: np.ndarray | None = None):
        self.held_out, self.columns, self.drives = held_out, list(columns), drives
        self._limited: dict[int, tuple[Judged, list[np.ndarray]]] = {}

    def limited(self, limit: int) -> tuple[Judged, list[np.ndarray]]:
        """At most as many images of each, chosen at random, and which of each column; the same ones every time."""
        if limit not in self._limited:
            held, *chosen = [_chosen(len(images), limit) for images in (self.held_out, *self.columns)]
            columns = [images[rows] for images, rows in zip(self.columns, chosen, strict=True)]
            drives = None if self.drives is None else self.drives[held]
            self._limited[limit] = (Judged(self.held_out[held], columns, drives), chosen)
        return self._limited[limit]


def run_rival(rival: Rival, ground: Ground, judged: Judged) -> Scores:
    """Fit a rival and score the columns; its threshold comes from the held-out images, those of a drive as one.

    Raises ValueError for a rival that says the same of all held-out images, as with the inverse of a singular matrix.
    """
    began = time.process_time()
    torch.manual_seed(0)
    scorer = rival.fit(ground.first(rival.profiled) if rival.profiled else ground)
    fitted = time.process_time()
    chosen = None
    if rival.limit is not None:
        judged, chosen = judged.limited(rival.limit)
    calibrating, *values = [np.asarray(scorer(images)) for images in (judged.held_out, *judged.columns)]
    if len(np.unique(calibrating)) == 1:
        raise ValueError(f"it gives every held-out image the score {calibrating[0]}")
    count = sum(map(len, values)) + len(calibrating)
    facts = {
        "setting": rival.setting,
        "profiled": min(rival.profiled or len(ground.images), len(ground.images)),
        "fit_s": fitted - began,
        "us_an_image": (time.process_time() - fitted) / count * 1e6,
    }
    return Scores(values, by_threshold(values, calibrating, judged.drives), chosen, facts)


def split(images: np.ndarray, size: int = BATCH) -> Iterator[Tensor]:
    """Float images in batches, of uint8 or float32 ones."""
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield torch.from_numpy(part.astype(np.float32) / 255 if part.dtype == np.uint8 else np.ascontiguousarray(part))


def in_batches(score: Callable[[Tensor], Tensor | np.ndarray], images: np.ndarray, size: int = BATCH) -> np.ndarray:
    """The scores of images, asked for a batch at a time."""
    return np.concatenate([np.asarray(_plain(score(x)), np.float64) for x in split(images, size)])


def joined(values: Iterable[Tensor]) -> np.ndarray:
    return torch.cat([value.detach().float() for value in values]).numpy()


def _plain(values: Tensor | np.ndarray) -> np.ndarray:
    return values.detach().float().numpy() if isinstance(values, Tensor) else values


def _chosen(count: int, limit: int) -> np.ndarray:
    return np.sort(np.random.default_rng(1).permutation(count)[:limit])
