"""The criteria a monitor takes when it is told none."""

from __future__ import annotations

from ..coverage import CoverageBitmap, Criterion, Mahalanobis, MultiRange, SingleRange, Softmax
from ..networks import Taps

_MANY_NEURONS = 2048


def default_criteria(taps: Taps) -> dict[str, list[Criterion]]:
    """Complementary parts over the taps there are, to be joined by `SmallestP`; keys are tap ids.

    Ranges on every tap of single units, which see adversarial noise; sections on every tap of channels; the distance
    of the last hidden layer; and the network's own confidence, which sees inputs on a decision boundary. No part
    learns from unsafe data. Channels of a network with very many classes are kept as bitmaps.
    """
    chosen: dict[str, list[Criterion]] = {}
    hidden = [tap for tap in taps if tap.kind != "output"]
    for tap in hidden:
        spatial_unit = tap.neurons == "unit" and tap.layout != "NC"
        chosen.setdefault(tap.id, []).append(SingleRange() if spatial_unit else MultiRange(32, "log"))
    return chosen
