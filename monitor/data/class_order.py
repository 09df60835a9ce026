"""Whether labels number the classes in another order than the network does."""

from __future__ import annotations

from collections import Counter

import numpy as np

_MOST = 0.5
"""The share of frames that must be right in another order for it to be named."""


class Confusion:
    """How many frames of each label a network saw as each class."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, labels: np.ndarray, predictions: np.ndarray) -> None:
        """Count frames: labels (n,) and predictions (n,), integers."""
        pairs, counts = np.unique(np.stack([labels, predictions]), axis=1, return_counts=True)
        for label, prediction, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            self._counts[label, prediction] += count

    @property
    def counts(self) -> np.ndarray:
        """(k, 3) int64: label, prediction, and how many frames, in their order."""
        return np.array([(*pair, count) for pair, count in sorted(self._counts.items())], np.int64).reshape(-1, 3)

    @classmethod
    def of(cls, counts: np.ndarray) -> Confusion:
        """That of such counts. Raises ValueError for anything else."""
        if counts.ndim != 2 or counts.shape[1] != 3 or counts.dtype != np.int64 or (counts < 0).any():
            raise ValueError(f"expected labels, predictions and counts, got {counts.dtype} of shape {counts.shape}")
        found = cls()
        found._counts.update({(label, prediction): count for label, prediction, count in counts.tolist()})
        return found

    def merge(self, other: Confusion) -> None:
        """Add the counts of another."""
        self._counts.update(other._counts)

    def other_order(self) -> tuple[dict[int, int], float] | None:
        """{label: class} where each label is mostly seen as a class of its own, and the share right if that were so.

        None where the labels are right as they are, two are mostly seen as one class, or fewer than half of the frames
        would be right. A simple majority of each label decides.
        """
        mostly: dict[int, tuple[int, int]] = {}
        for (label, prediction), count in sorted(self._counts.items()):
            if count > mostly.get(label, (0, 0))[1]:
                mostly[label] = prediction, count
        order = {label: prediction for label, (prediction, _) in mostly.items()}
        right = sum(count for _, count in mostly.values()) / max(sum(self._counts.values()), 1)
        if right < _MOST or len(set(order.values())) < len(order) or all(a == b for a, b in order.items()):
            return None
        return order, right
