"""The pattern of a frame: how surprising each column is, and how what deviates lies in the maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...coverage import neuron_parts
from ...networks import Tap
from ..judging.places import Shape, sample_shape
from ..kernels import lying, scores
from ..profile import Profile

STATISTICS = "share", "rows", "columns", "spread", "smooth", "region"
"""What is said of each map, see `kernels.lying.lies`."""
MOST = 20.0
"""The highest surprise that counts: one beyond it tells nothing more, and that of an uncovered class is infinite."""
_MOST_UNITS = 2**21
_LEAST_SIZE = 4


class PlacesOf(Protocol):
    """What is read of a column that is compared place by place."""

    of_places: np.ndarray


def mapped(profile: Profile) -> tuple[int, ...]:
    """The columns whose deviation has a map: of pixels, and of units that add up one by one over height and width."""
    return tuple(i for i in range(len(profile.columns)) if _map_shape(profile, i) is not None)


def _map_shape(profile: Profile, column: int) -> Shape | None:
    own = profile.columns[column]
    tap = profile.facts.taps[own.tap]
    if tap.rows != 1:
        return None
    shape: Shape | None = None
    if tap.neurons.startswith("pixel"):
        shape = sample_shape(tap)
    elif tap.neurons == "unit" and tap.layout in ("NCHW", "NHWC") and tap.size <= _MOST_UNITS:
        summed = neuron_parts(own.criterion, profile.signatures[column]) is not None
        shape = tuple(size for size in tap.map_sizes if size is not None) if summed else None
    return shape if shape is not None and len(shape) == 2 and min(shape) >= _LEAST_SIZE else None


class Maps:
    """The maps of the columns that have one, bound to the arrays of a judge.

    indices: of each column's tap among the activations. comparers: by column, those that compare place by place.
    """

    def __init__(self, profile: Profile, indices: Sequence[int], comparers: Mapping[int, PlacesOf]) -> None:
        self.columns = mapped(profile)
        self._readers: list[Callable[[int, Sequence[np.ndarray], int], np.ndarray]] = []
        for i in self.columns:
            shape = _map_shape(profile, i)
            if shape is None:
                continue
            if i in comparers:
                self._readers.append(_of_places(comparers[i], shape))
            else:
                parts = neuron_parts(profile.columns[i].criterion, profile.signatures[i])
                self._readers.append(_of_units(parts, indices[i], profile.facts.taps[profile.columns[i].tap], shape))
        self.shapes = [shape for i in self.columns if (shape := _map_shape(profile, i)) is not None]

    def read(self, frame: int, activations: Sequence[np.ndarray], label: int) -> list[np.ndarray]:
        """The maps of one frame of the last batch, (height, width) float32 each."""
        return [reader(frame, activations, label) for reader in self._readers]


def _of_places(comparer: PlacesOf, shape: Shape) -> Callable[[int, Sequence[np.ndarray], int], np.ndarray]:
    places = shape[0] * shape[1]

    def read(frame: int, _activations: Sequence[np.ndarray], _label: int) -> np.ndarray:
        return comparer.of_places[frame * places : (frame + 1) * places].reshape(shape)

    return read


def _of_units(parts: Any, index: int, tap: Tap, shape: Shape) -> Callable[[int, Sequence[np.ndarray], int], np.ndarray]:
    """What the units of each place add to the deviation, over all channels."""
    first = tap.layout == "NCHW"

    def read(frame: int, activations: Sequence[np.ndarray], label: int) -> np.ndarray:
        added = parts(activations[index][frame], label)
        total: np.ndarray = added.reshape(-1, *shape).sum(0) if first else added.reshape(*shape, -1).sum(2)
        return np.ascontiguousarray(total, np.float32)

    return read


@dataclass(frozen=True, eq=False)
class Scales:
    """What the pattern of a frame is measured by, learned of held-out frames.

    value, surprise: (knots, columns) float64, -log p of a deviation as a curve, excess: (columns,), its tail, as of
    `Votes`. levels: (maps,) float64, the deviation above which a place of a map counts.
    """

    value: np.ndarray
    surprise: np.ndarray
    excess: np.ndarray
    levels: np.ndarray

    @property
    def features(self) -> int:
        """How many numbers a pattern has: one for each column, six for each map."""
        return len(self.excess) + len(STATISTICS) * len(self.levels)


class Patterns:
    """Writes the pattern of one frame at a time; all that it needs but the maps of units is allocated here."""

    def __init__(self, scales: Scales, maps: Maps) -> None:
        self._scales, self._maps = scales, maps
        self._curve = [np.ascontiguousarray(one, np.float64) for one in (scales.value, scales.surprise, scales.excess)]
        self._found = np.empty(scales.features)
        self._scratch = [(np.empty(shape, np.uint8), np.empty(shape[0] * shape[1], np.int64)) for shape in maps.shapes]

    def read(self, deviation: np.ndarray, frame: int, activations: Sequence[np.ndarray], label: int) -> np.ndarray:
        """(features,) float64, valid until the next: log(1 + surprise) of each column, then six numbers of each map.

        deviation: (columns,) float32. frame: which of the last batch. label: its class.
        """
        found, columns = self._found, len(self._scales.excess)
        scores.surprises(deviation, *self._curve, MOST, found[:columns])
        np.log1p(found[:columns], found[:columns])
        at, of_each = columns, len(STATISTICS)
        maps = self._maps.read(frame, activations, label)
        for values, level, scratch in zip(maps, self._scales.levels, self._scratch, strict=True):
            lying.lies(values, level, found[at : at + of_each], *scratch)
            at += of_each
        return found
