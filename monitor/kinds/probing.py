"""Examples that need the network: activations driven too far, and pictures on the boundary between two classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...networks import Network, Observation

_STEPS = 10


class Driven(Network):
    """A network whose later activations are larger than its pictures make them, as those of a strong attack are.

    An attack that seeks a wrong class drives the last layers beyond what any trusted frame does, while the first ones
    stay as they are (seen with projected gradient descent; the model of it is our own and takes no gradient). From the
    tap at `start` on, 0 for the first and 1 for the last, activations grow up to `factor` times; so do class scores
    where they are logits. start, factor: (n,) for the frames of a batch.
    """

    def __init__(self, network: Network, start: np.ndarray, factor: np.ndarray) -> None:
        self._network, self._start, self._factor = network, start, factor
        self.taps, self.classes, self.input_shape = network.taps, network.classes, network.input_shape
        self.engine, self.fingerprint, self.dtype = network.engine, network.fingerprint, network.dtype
        self.map_classes, self.scores = network.map_classes, network.scores
        order = list(dict.fromkeys(tap.name for tap in self.taps))
        self._depths = [order.index(tap.name) / max(len(order) - 1, 1) for tap in self.taps]
        self._logits = network.scores == "logits"

    def observe(self, batch: Any) -> Observation:
        seen = self._network.observe(batch)
        driven = []
        for tap, depth, values in zip(self.taps, self._depths, seen.activations, strict=True):
            if tap.kind == "output" and not self._logits:
                driven.append(values)
                continue
            share = np.clip((depth - self._start) / np.maximum(1 - self._start, 1e-6), 0, 1)
            times = np.repeat(1 + (self._factor - 1) * share, len(values) // len(share)).astype(np.float32)
            driven.append(_times(values, times))
        logits, score_map = seen.logits, seen.score_map
        if self._logits:
            logits = None if logits is None else _times(logits, self._factor)
            score_map = None if score_map is None else _times(score_map, self._factor)
        return seen._replace(logits=logits, score_map=score_map, activations=tuple(driven))

    def run(self, batch: Any) -> Any:
        return self._network.run(batch)

    def close(self) -> None:
        """The network stays open: it is another's."""


def _times(values: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Each row times its own factor, codes cut off where they end."""
    wide = values * factors.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    if values.dtype.kind in "iu":
        wide = np.clip(np.rint(wide), 0, np.iinfo(values.dtype).max)
    return wide.astype(values.dtype)


def on_boundary(
    classes: Callable[[np.ndarray], np.ndarray], pictures: np.ndarray, pairs: int, rng: np.random.Generator
) -> np.ndarray:
    """Mixtures of two pictures as near to the boundary between their classes as ten halvings find, (m, *picture).

    classes: of pictures (n, ...), (n,) int64, as the network sees them. m: `pairs`, 0 where all are of one class.
    """
    seen = classes(pictures)
    if (seen == seen[0]).all():
        return pictures[:0]
    first = rng.choice(len(pictures), pairs)
    second = np.array([rng.choice(np.flatnonzero(seen != seen[i])) for i in first])
    low: np.ndarray = np.zeros(pairs, np.float32)
    high: np.ndarray = np.ones(pairs, np.float32)
    axes = (-1, *[1] * (pictures.ndim - 1))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        share = middle.reshape(axes)
        same = classes(pictures[first] * (1 - share) + pictures[second] * share) == seen[first]
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    share = high.reshape(axes)
    found: np.ndarray = pictures[first] * (1 - share) + pictures[second] * share
    return found
