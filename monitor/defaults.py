"""The criteria that a monitor takes by default."""

from __future__ import annotations

from ..coverage import Criterion, Mahalanobis, Margin, RelativeMahalanobis, SingleRange, Softmax
from ..networks import Tap, Taps
from .errors import warn
from .judging.places import samples_of

_RANGE_BYTES = 512 * 2**20
_COVARIANCE_NEURONS = 512
_WORK = 2**25
_WORK_OF_PLACES = 2**29
_REGIONS = 100  # about as many as a detector finds


def default_criteria(taps: Taps, classes: int | None = None) -> dict[str, list[Criterion]]:
    """Complementary parts, to be joined by `HarmonicP` (our own choice, made on held-out training data).

    On the class scores the margin, which sees inputs on a decision boundary, and their distance. On the channels of
    every layer the distance and single ranges, which see other scenes and sensors, and the distance relative to that of
    all classes, which sees what the network takes for the wrong class; that also on the largest values of the last
    layer, which hold small strange objects. On the units of the first spatial tap that has them single ranges, which
    see adversarial noise before it is pooled away. Nothing is learned from unsafe data.
    On the places of maps the distance, and the softmax of the class scores; on the map with the fewest places, which is
    the deepest, the distance of rows of one length. Range, relative distance and covariances of each class see less
    there (chosen on frames of the training drives with pasted objects).
    Left out where they would not fit: ranges above 512 MiB in all, and covariances above 512 neurons or, on taps of
    many samples a frame, where samples times neurons squared exceed 2**25, some ten milliseconds a frame. Rows that
    vary from frame to frame count as 100. Of places it is 2**29, as they are compared by products of matrices; a
    warning says what was left out, and ranges take its place.
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
            criteria = [Mahalanobis()] if _fits(tap) else [SingleRange()]
            if not _fits(tap):
                warn(
                    f"{tap.id}: {samples_of(tap):,} places of {tap.size:,} channels are too many for a covariance, and"
                    " ranges take its place; take larger windows, such as pixel4, or name the criteria",
                    4,
                )
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
    work = _WORK_OF_PLACES if tap.of_places and samples_of(tap) is not None else _WORK
    return tap.size <= _COVARIANCE_NEURONS and (samples_of(tap) or _REGIONS) * tap.size**2 <= work
