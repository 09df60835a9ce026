"""What a verdict says of the places of its frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..boxes import BoxVerdict
from .regions import Region, regions_of

if TYPE_CHECKING:
    from .logic import PlaceLogic

_MISSED = 0.5


class Places:
    """Where in a frame the network deviates.

    map: (height, width) float32, larger = less covered: at each place the mean over columns of -log p, averaged over
    the box of the logic; None where no logic of places judges. level: the value above which a place belongs to a
    region. extent: (height, width) of the picture that the network takes, in pixels, over which the map lies. classes:
    (height, width) int16, the class that the network sees at each place, or None. boxes: what is said
    of each detection. logic: what made the score of the map, None where that is not known.
    """

    __slots__ = ("_regions", "boxes", "classes", "extent", "level", "logic", "map")

    def __init__(
        self, map: np.ndarray | None, level: float, extent: tuple[int, int], classes: np.ndarray | None = None,  # noqa: A002 (the field's word)
        boxes: Sequence[BoxVerdict] = (), logic: PlaceLogic | None = None,
    ) -> None:  # fmt: skip
        self.map, self.level, self.extent, self.classes, self.boxes = map, level, extent, classes, tuple(boxes)
        self.logic = logic
        self._regions: tuple[Region, ...] | None = None

    @property
    def regions(self) -> tuple[Region, ...]:
        """The connected parts of the map above its level, the largest first; worked out when first asked."""
        if self._regions is None:
            self._regions = ()
            if self.map is not None:
                boxes = np.array([one.box for one in self.boxes]).reshape(-1, 4)
                self._regions = regions_of(self.map, self.level, self.extent, self.classes, boxes)
        return self._regions

    def above(self, threshold: float) -> tuple[Region, ...]:
        """The regions for each of which alone the score would exceed a threshold; all of an unknown logic."""
        if self.logic is None or self.map is None:
            return self.regions
        highest = float(self.map.max())
        return tuple(region for region in self.regions if self.logic.score_of(region, highest) > threshold)

    @property
    def missed(self) -> tuple[Region, ...]:
        """The regions of which detections cover less than half: cues to what a detector overlooked."""
        return tuple(region for region in self.regions if region.covered < _MISSED)

    def __repr__(self) -> str:
        size = "no map" if self.map is None else f"map {self.map.shape[0]} x {self.map.shape[1]}"
        return f"Places({size}, {len(self.regions)} regions, {len(self.boxes)} boxes)"
