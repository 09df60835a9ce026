"""The criteria that a monitor takes by default."""

from __future__ import annotations

from ..coverage import Criterion, Gaussian, Mahalanobis, SingleRange, Softmax
from ..networks import Taps
from .judging.places import samples_of

_RANGE_BYTES = 512 * 2**20
_COVARIANCE_NEURONS = 512
_WORK = 2**25
_REGIONS = 100  # about as many as a detector finds


def default_criteria(taps: Taps, classes: int | None = None) -> dict[str, list[Criterion]]:
    """Complementary parts, to be joined by `SmallestP` (our own choice, made on held-out training data).

    Ranges of the single units of the first spatial tap that has them, which see adversarial noise before it is
    pooled away; the distance of the channels of every layer, which sees other scenes and sensors; the network's own
    confidence, which sees inputs on a decision boundary. Nothing is learned from unsafe data.
    Left out where they would not fit: ranges above 512 MiB for all classes, covariances above 512 neurons or, on taps
    of many samples a frame, where samples times neurons squared exceed 2**25, some ten milliseconds a frame (votes of
    single neurons instead); rows that vary from frame to frame count as 100.
    """
    chosen: dict[str, list[Criterion]] = {}
    ranged = False
    for tap in taps:
        if tap.kind == "output":
            if classes:
                chosen[tap.id] = [Softmax()]
        elif tap.neurons == "unit" and tap.layout != "NC":
            if not ranged and 8 * tap.size * (classes or 1) <= _RANGE_BYTES:
                chosen[tap.id] = [SingleRange()]
                ranged = True
        else:
            samples = samples_of(tap) or _REGIONS
            fits = tap.size <= _COVARIANCE_NEURONS and samples * tap.size**2 <= _WORK
            chosen[tap.id] = [Mahalanobis() if fits else Gaussian()]
    return chosen
