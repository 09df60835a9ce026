"""The criteria that a monitor takes by default."""

from __future__ import annotations

from ..coverage import Criterion, Gaussian, Mahalanobis, Margin, RelativeMahalanobis, SingleRange
from ..networks import Tap, Taps
from .judging.places import samples_of

_RANGE_BYTES = 512 * 2**20
_COVARIANCE_NEURONS = 512
_LAST_NEURONS = 2048
_WORK = 2**25
_DIRECTIONS = 2**18
_REGIONS = 100  # about as many as a detector finds


def default_criteria(taps: Taps, classes: int | None = None) -> dict[str, list[Criterion]]:
    """Complementary parts, to be joined by `HarmonicP` (our own choice, made on held-out training data).

    On the class scores, the margin, which sees inputs on a decision boundary. On the channels of every layer, the
    distance and single ranges, which see other scenes and sensors, and the distance relative to that of all classes,
    which sees what the network takes for the wrong class; that also on the largest values of the last layer, which hold
    small strange objects. On the units of the first spatial tap that has them, single ranges, which see adversarial
    noise before it is pooled away. Nothing is learned from unsafe data.
    Left out where they would not fit: ranges beyond 512 MiB in all; covariances of more than 512 neurons (votes of
    single neurons instead), of the last layer more than 2,048 for the relative distance; that where neurons times the
    smaller of classes and neurons exceed 2**18; on taps of many samples a frame, each where it would take some ten
    milliseconds a frame. Rows that vary from frame to frame count as 100.
    """
    chosen: dict[str, list[Criterion]] = {}
    left, last = _RANGE_BYTES, next((tap.name for tap in reversed(taps) if tap.neurons == "channel-max"), None)
    ranged = False
    for tap in taps:
        ranges = 8 * tap.size * (classes or 1)
        relative = [RelativeMahalanobis()] if _tells_classes(tap, classes, last) else []
        if tap.kind == "output":
            if classes:
                chosen[tap.id] = [Margin()]
        elif tap.neurons == "channel-max":
            if relative:
                chosen[tap.id] = [*relative]
        elif tap.neurons == "unit" and tap.layout != "NC":
            if not ranged and ranges <= left:
                chosen[tap.id] = [SingleRange()]
                ranged, left = True, left - ranges
        else:
            fits = tap.size <= _COVARIANCE_NEURONS and _samples(tap) * tap.size**2 <= _WORK
            chosen[tap.id] = [Mahalanobis() if fits else Gaussian(), *relative]
            if ranges <= left:
                chosen[tap.id].append(SingleRange())
                left -= ranges
    return chosen


def _tells_classes(tap: Tap, classes: int | None, last: str | None) -> bool:
    """Whether the relative distance goes on a tap."""
    if not classes or classes < 2 or tap.kind == "output":
        return False
    directions = tap.size * min(classes, tap.size)
    most = _LAST_NEURONS if tap.name == last else _COVARIANCE_NEURONS
    return tap.size <= most and directions <= _DIRECTIONS and _samples(tap) * directions <= _WORK


def _samples(tap: Tap) -> int:
    return samples_of(tap) or _REGIONS
