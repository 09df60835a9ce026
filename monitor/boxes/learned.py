"""What is remembered of trusted detections: the features under their boxes, class by class and tap by tap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ...coverage import Criterion, Mahalanobis, Signature
from ...networks import Detections
from ..attributes import strict
from ..data.truth import right
from ..errors import ProfileError
from ..facts.network import NetworkFacts, told_apart
from .under import Under

MOST_CLASSES = 100_000
"""A class above that is taken for a decoder's mistake."""


class BoxColumn(NamedTuple):
    """A criterion on the means under boxes at a tap; `tap` indexes the taps of the profile."""

    criterion: Criterion
    tap: int


@strict
@dataclass
class LearnedBoxes:
    """Signatures of the features under trusted boxes, one for each tap of places.

    A class is learned once a box of it is trusted, so the signatures have as many classes as the highest that was.
    frames: those with a trusted box. matched: whether true boxes decided which are trusted, None before the first
    batch. left_out: detections that were not trusted.
    """

    columns: tuple[BoxColumn, ...]
    signatures: list[Signature] = field(default_factory=list)
    frames: int = 0
    matched: bool | None = None
    left_out: int = 0

    @property
    def per_class(self) -> np.ndarray:
        """(classes,) int64: the trusted boxes of each class."""
        return self.signatures[0].counts

    @property
    def nbytes(self) -> int:
        """The size of the signatures in memory."""
        return sum(signature.nbytes for signature in self.signatures)

    def copy(self) -> LearnedBoxes:
        """A copy that shares no memory with this one."""
        copies = [signature.copy() for signature in self.signatures]
        return LearnedBoxes(self.columns, copies, self.frames, self.matched, self.left_out)

    def covered(self, minimum: int) -> np.ndarray:
        """(classes,) bool: whether enough boxes of the class are trusted, and at least one."""
        return self.per_class >= max(minimum, 1)

    def prepare(self) -> None:
        """Derive what comparing reads, so that the first frame takes no longer than the next."""
        for column, signature in zip(self.columns, self.signatures, strict=True):
            column.criterion.prepare(signature)


def fresh_boxes(facts: NetworkFacts, taps: Iterable[int], criterion: Criterion | None = None) -> LearnedBoxes | None:
    """What has seen no box, for the taps of places among some; None for a network that is no detector or has none.

    taps: indices among those of the facts.
    """
    if facts.detections is None or facts.extent is None:
        return None
    places = sorted({i for i in taps if told_apart(facts.taps[i]) and len(facts.taps[i].map_sizes) == 2})
    columns = tuple(BoxColumn(criterion or Mahalanobis(), i) for i in places)
    signatures = [column.criterion.empty(facts.taps[column.tap].size, 1) for column in columns]
    return LearnedBoxes(columns, signatures) if columns else None


def under_boxes(facts: NetworkFacts, columns: Sequence[BoxColumn]) -> list[Under]:
    """What takes the means under boxes, column by column."""
    extent = facts.extent
    if extent is None:
        raise ValueError("expected a network that says the size of its pictures, got one that leaves it open")
    return [Under(facts.taps[column.tap], extent) for column in columns]


class BoxLearner:
    """Adds the detections of batches to what is learned. indices: of each column's tap among the activations."""

    def __init__(self, facts: NetworkFacts, boxes: LearnedBoxes, indices: Sequence[int]) -> None:
        self._boxes, self._indices = boxes, list(indices)
        self._under = under_boxes(facts, boxes.columns)

    def learn(
        self, found: Sequence[Detections], truth: Sequence[Detections] | None, chosen: np.ndarray,
        activations: Sequence[np.ndarray],
    ) -> None:  # fmt: skip
        """Add the trusted detections of the frames chosen, (n,) bool.

        All detections are trusted, or with truth those that are right. Raises ProfileError where truth comes with some
        batches and not with others.
        """
        boxes, matched = self._boxes, truth is not None
        if boxes.matched is not None and boxes.matched != matched:
            with_, without = ("with", "without") if boxes.matched else ("without", "with")
            raise ProfileError(f"expected batches {with_} true boxes like the first, got one {without}")
        trusted = [
            np.full(len(one.scores), bool(sure)) if truth is None or not sure else right(one, truth[i])
            for i, (one, sure) in enumerate(zip(found, chosen, strict=True))
        ]
        values = [
            means_under(under, [one.boxes[mask] for one, mask in zip(found, trusted, strict=True)], activations[index])
            for under, index in zip(self._under, self._indices, strict=True)
        ]
        classes = np.concatenate([one.classes[mask] for one, mask in zip(found, trusted, strict=True)])
        inside = np.logical_and.reduce([np.isfinite(rows).all(axis=1) for rows in values])
        boxes.matched = matched
        boxes.left_out += sum(len(one.scores) for one in found) - int(inside.sum())
        boxes.frames += len(np.unique(np.repeat(np.arange(len(found)), [mask.sum() for mask in trusted])[inside]))
        if inside.any():
            self._observe([rows[inside] for rows in values], classes[inside])

    def _observe(self, values: Sequence[np.ndarray], classes: np.ndarray) -> None:
        boxes, highest = self._boxes, int(classes.max())
        if highest >= MOST_CLASSES:
            raise ProfileError(f"expected classes of detections below {MOST_CLASSES:,}, got {highest:,}")
        if highest >= len(boxes.per_class):
            pairs = zip(boxes.columns, boxes.signatures, strict=True)
            boxes.signatures = [grown(column.criterion, signature, highest + 1) for column, signature in pairs]
        for column, signature, rows in zip(boxes.columns, boxes.signatures, values, strict=True):
            column.criterion.observe(signature, rows, classes)


def means_under(under: Under, boxes: Sequence[np.ndarray], activations: np.ndarray) -> np.ndarray:
    """The means under the boxes of each frame, one frame behind the other: (all boxes, neurons) float32."""
    places = activations.reshape(len(boxes), -1, activations.shape[-1])
    return np.concatenate([under.means(*pair) for pair in zip(places, boxes, strict=True)])


def grown(criterion: Criterion, signature: Signature, classes: int) -> Signature:
    """The same signature with room for more classes, of which nothing was seen."""
    larger = criterion.empty(signature.neurons, classes)
    larger.counts[: signature.classes] = signature.counts
    for name, array in signature.arrays.items():
        own = larger.arrays[name]
        own[tuple(slice(size) for size in array.shape)] = array
    return larger
