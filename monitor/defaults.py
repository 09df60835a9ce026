"""The criteria that a monitor takes by default."""

from __future__ import annotations

from ..coverage import Criterion, Mahalanobis, Margin, Neighbours, RelativeMahalanobis, SingleRange, Softmax
from ..networks import Tap, Taps
from .judging.places import samples_of

_RANGE_BYTES = 512 * 2**20
_COVARIANCE_NEURONS = 512
_WORK, _WORK_OF_PLACES = 2**25, 2**29
_REGIONS = 100  # about as many as a detector finds


def default_criteria(
    taps: Taps, classes: int | None = None, map_classes: int | None = None
) -> dict[str, list[Criterion]]:  # fmt: skip
    """Complementary parts, to be joined by `HarmonicP` (our own choice, made on held-out training data).

    On the class scores the margin, which sees inputs on a decision boundary, and their distance. On the channels of
    every layer the distance and single ranges, which see other scenes and sensors, and the distance relative to that of
    all classes, which sees what the network takes for the wrong class; that also on the largest values of the last
    layer, which hold small strange objects. On the units of the first spatial tap that has them single ranges, which
    see adversarial noise before it is pooled away. Nothing is learned from unsafe data.
    On the places of maps the nearest of a few centres of each class, of vectors of unit length: covariances, ranges and
    relative distances do not carry to another drive (chosen on training drives with pasted objects, each left out
    once). Where all places are of one class, as with a detector, centres of
    everything see little: there it is the distance, or 256 centres where a covariance does not fit. On class scores of
    places the softmax.
    Left out where they would not fit: ranges above 512 MiB in all, and covariances above 512 neurons or, on taps of
    many samples a frame, where samples times neurons squared exceed 2**25, some ten milliseconds a frame. Rows that
    vary from frame to frame count as 100. Places are compared by products of matrices, and it is 2**29.
    """
    chosen: dict[str, list[Criterion]] = {}
    left, ranged = _RANGE_BYTES, False
    for tap in taps:
        criteria: list[Criterion] = []
        distance = [Mahalanobis()] if _fits(tap) else []
        relative = [RelativeMahalanobis()] if _fits(tap) and (classes or 0) > 1 else []
        if tap.of_scores and tap.of_places:
            criteria = [Softmax()]
        elif tap.kind == "output":
            criteria = [Margin(), *distance] if classes else []
        elif tap.of_places:
            told_apart = max(classes or 1, map_classes or 1) > 1
            if told_apart:
                criteria = [Neighbours(centres=16)]
            else:
                criteria = [Mahalanobis() if _fits(tap) else Neighbours(samples=2048, centres=256)]
        elif tap.neurons == "channel-max":
            criteria = [*relative]
        else:
            unpooled = tap.neurons == "unit" and tap.layout != "NC"
            criteria = [] if unpooled else [*distance, *relative]
            needed = 8 * tap.size * (classes or 1)
            if needed <= left and not (unpooled and ranged):
                criteria.append(SingleRange())
                left, ranged = left - needed, ranged or unpooled
        if criteria:
            chosen[tap.id] = criteria
    return chosen


def _fits(tap: Tap) -> bool:
    """Whether a covariance fits a tap."""
    work = _WORK_OF_PLACES if tap.of_places else _WORK
    return tap.size <= _COVARIANCE_NEURONS and (samples_of(tap) or _REGIONS) * tap.size**2 <= work
