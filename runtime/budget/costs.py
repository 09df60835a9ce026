"""What taps cost: a model with a price for each thing that a tap makes the machine do, fitted to measured designs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...coverage import Criterion, Mahalanobis
from ...networks import Tap
from ...networks.neurons import lattice

FEATURES = "fixed", "taps", "bytes read", "neurons compared", "products of neurons", "bytes that leave the graph"
"""What has a price. The first is there once, whatever is tapped: the class scores and the verdict."""
_LINE = 64
_ITEM = {"float16": 2, "bfloat16": 2, "float64": 8, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2}


def features_of(tap: Tap, criteria: Sequence[Criterion]) -> np.ndarray:
    """What a tap adds to each of `FEATURES`, (features,) float64. A neuron counts for each criterion on it.

    A distance by a covariance takes the products of all pairs of neurons. Sizes that are open count as 1.
    """
    read = bytes_read(tap)
    distances = sum(isinstance(one, Mahalanobis) for one in criteria)
    leaving = read if tap.neurons == "unit" else 0
    return np.array([0, 1, read, tap.size * len(criteria), tap.size**2 * distances, leaving], np.float64)


def bytes_read(tap: Tap) -> int:
    """The bytes of a tensor that one frame's neurons are made of.

    The channels of a place lie together, in blocks or last, and memory comes in lines of 64 bytes: of a place that
    ``sampleK`` reads, whole lines are read.
    """
    item, rows = _ITEM.get(tap.dtype, 4), tap.rows or 1
    if tap.sampled is None:
        return rows * item * math.prod(size or 1 for size in tap.shape)
    places = math.prod(lattice(size or 1, tap.sampled)[1] for size in tap.map_sizes)
    return rows * places * -(-tap.size * item // _LINE) * _LINE


def features_of_all(each: Iterable[np.ndarray]) -> np.ndarray:
    """Those of several taps together, (features,); the fixed one once."""
    total = np.sum([np.zeros(len(FEATURES)), *each], axis=0)
    total[0] = 1
    return total


@dataclass(frozen=True)
class TapCosts:
    """bare: seconds of the network alone. prices: seconds for one of each of `FEATURES`, none below 0."""

    bare: float
    prices: tuple[float, ...]

    @classmethod
    def fitted(cls, bare: float, designs: Sequence[np.ndarray], seconds: Sequence[float]) -> TapCosts:
        """The prices that come closest to measured designs, by least squares without negative prices.

        designs: (features,) of each. seconds: a frame of each, the network included.
        Raises ValueError for what no measurement gives: no design, numbers that are not finite, a bare time of 0.
        """
        from scipy.optimize import nnls

        matrix, times = np.asarray(designs, np.float64), np.asarray(seconds, np.float64)
        if not (0 < bare < math.inf and len(matrix) and matrix.shape == (len(times), len(FEATURES))):
            raise ValueError(
                f"expected a bare time above 0 and the {len(FEATURES)} features of each design, got {bare!r} and shape"
                f" {matrix.shape} for {len(times)} times"
            )
        if not (np.isfinite(matrix).all() and np.isfinite(times).all() and (times > 0).all() and (matrix >= 0).all()):
            raise ValueError("expected finite times above 0 and features of 0 or more, got others")
        scale = np.maximum(np.linalg.norm(matrix, axis=0), np.finfo(np.float64).tiny)
        prices, _ = nnls(matrix / scale, times - bare)
        return cls(float(bare), tuple((prices / scale).tolist()))

    def ratio(self, features: np.ndarray) -> float:
        """How many times the bare network's time it takes with taps of these features."""
        return 1 + float(features @ np.array(self.prices)) / self.bare
