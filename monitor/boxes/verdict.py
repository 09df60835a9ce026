"""What the monitor says of one detection."""

from __future__ import annotations

from typing import NamedTuple


class BoxVerdict(NamedTuple):
    """The verdict on one detection of a frame. It does not change the frame's own status.

    box: (left, top, right, bottom) in pixels of the network's input. class_index: of the detection. confidence: of the
    network. deviation: of the features under the box from those of its class, >= 0, larger = less covered; +inf for a
    class of which too few were profiled, for a box that lies outside the picture, and where the features hold NaN or
    Inf. threshold: the deviation allowed in its class. reason: why, in words, where it alarms.
    """

    box: tuple[float, float, float, float]
    class_index: int
    confidence: float
    deviation: float
    threshold: float
    reason: str = ""

    @property
    def alarm(self) -> bool:
        """Whether it deviates more than its class is allowed to."""
        return not self.deviation <= self.threshold
