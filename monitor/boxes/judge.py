"""Judges the detections of frames, with the activations that the network showed for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...networks import Detections, Network, Observation
from ...networks.detections.decoder import in_words
from ...networks.detections.found import Decode, detected
from ..calibration import Calibration
from ..facts.network import NetworkFacts
from ..logic import Normalised
from .learned import LearnedBoxes, means_under, under_boxes
from .verdict import BoxVerdict

LOGIC = Normalised()
"""What makes one deviation of those at several taps: the sum of each over its mean on held-out boxes."""


class FrameBoxes(NamedTuple):
    """The detections of one frame. classes: (k,) int64. deviations: (k, columns) float32."""

    classes: np.ndarray
    deviations: np.ndarray


class BoxJudge:
    """Decodes detections and says how far each deviates from the boxes of its class.

    decode: of the network. facts, boxes: of the profile. minimum: trusted boxes below which a class is not covered.
    indices: of each column's tap among the activations. calibration: of the boxes, None where every box alarms anyway.
    It makes new arrays for every frame: how many detections there are is not known before.
    """

    def __init__(
        self, decode: Decode, facts: NetworkFacts, boxes: LearnedBoxes, minimum: int, indices: Sequence[int],
        calibration: Calibration | None = None,
    ) -> None:  # fmt: skip
        self._decode, self._boxes, self._indices, self._calibration = decode, boxes, list(indices), calibration
        self._under = under_boxes(facts, boxes.columns)
        self._covered, self._minimum = boxes.covered(minimum), max(minimum, 1)
        self._groups = np.zeros(len(boxes.columns), np.int64)
        boxes.prepare()

    def found(self, seen: Observation, frames: int) -> tuple[list[Detections], list[FrameBoxes]]:
        """The detections of each frame of a batch, and how they deviate, tap by tap.

        Raises what the decoder raises, TypeError and ValueError where it does not give the detections of every frame.
        """
        found = detected(self._decode, seen.output, frames)
        classes = np.concatenate([one.classes for one in found])
        known = classes < len(self._covered)
        deviations = np.full((len(classes), len(self._indices)), np.inf, np.float32)
        boxes = [one.boxes for one in found]
        for c, (column, signature) in enumerate(zip(self._boxes.columns, self._boxes.signatures, strict=True)):
            if known.any():
                values = means_under(self._under[c], boxes, seen.activations[self._indices[c]])
                deviations[known, c] = column.criterion.deviation(signature, values[known], classes[known])
        ends = np.cumsum([len(one.classes) for one in found])[:-1]
        return found, [FrameBoxes(one.classes, own) for one, own in zip(found, np.split(deviations, ends), strict=True)]

    def verdicts(self, seen: Observation, frames: int) -> list[tuple[BoxVerdict, ...]]:
        """The verdicts on the detections of each frame of a batch. Raises what `found` raises."""
        found, deviations = self.found(seen, frames)
        return [tuple(self._verdicts(*pair)) for pair in zip(found, deviations, strict=True)]

    def _verdicts(self, found: Detections, frame: FrameBoxes) -> list[BoxVerdict]:
        if not len(found.classes):
            return []
        scores = np.full(len(found.classes), np.inf)
        if self._calibration is not None:
            scores = LOGIC.score(self._calibration.scales, frame.deviations, self._groups)
        said = []
        for i, (box, confidence, index) in enumerate(zip(*(part.tolist() for part in found), strict=True)):
            score, threshold, reason = float(scores[i]), self._threshold(index), ""
            if not self._is_covered(index):
                score, reason = np.inf, self._why_not_covered(index)
            elif score == np.inf:
                reason = "NaN or Inf in the features under the box, or no part of the picture"
            elif score > threshold:
                reason = f"deviation {score:.4g} is above the threshold {threshold:.4g} of class {index}"
            said.append(BoxVerdict(tuple(box), index, confidence, score, threshold, reason))
        return said

    def _is_covered(self, index: int) -> bool:
        return index < len(self._covered) and bool(self._covered[index])

    def _threshold(self, index: int) -> float:
        """That of a class, 0 where there is none: whatever deviates alarms."""
        thresholds = () if self._calibration is None else self._calibration.thresholds
        return float(thresholds[index]) if index < len(thresholds) and self._is_covered(index) else 0.0

    def _why_not_covered(self, index: int) -> str:
        count = int(self._boxes.per_class[index]) if index < len(self._covered) else 0
        return f"class {index} is not covered: {count} trusted boxes, fewer than {self._minimum}"


def box_judge(
    network: Network, facts: NetworkFacts, boxes: LearnedBoxes | None, minimum: int, calibration: Calibration | None
) -> BoxJudge | None:
    """A judge of the detections of a network, None where none were learned. calibration: of frames, with that of boxes.

    Raises ValueError for a network that was told no decoder.
    """
    if boxes is None:
        return None
    if network.detections is None:
        raise ValueError(f"expected a network with detections={in_words(facts.detections)}, got one without")
    order = {tap.id: i for i, tap in enumerate(network.taps)}
    indices = [order[facts.taps[column.tap].id] for column in boxes.columns]
    of_boxes = None if calibration is None else calibration.boxes
    return BoxJudge(network.detections, facts, boxes, minimum, indices, of_boxes)
