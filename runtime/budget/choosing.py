"""Which taps to take within a budget: one after the other, that with the largest gain for its cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...networks import Tap
from .candidates import in_place_of

Valued = Callable[[Sequence[Tap]], float]
"""A number for a set of taps: what it detects, or what it costs."""
LEAST_GAIN = 1e-4
"""Of a mean AUROC; less is chance. It is a hundredth of a percent of the pairs of frames."""
_LEAST_COST = 1e-6


def chosen_within(
    candidates: Sequence[Tap], budget: float, detection: Valued, cost: Valued, least_gain: float = LEAST_GAIN
) -> list[Tap]:
    """The taps that a greedy choice takes; none where none adds to what the class scores detect.

    detection: the mean AUROC with some taps. cost: the ratio that is predicted for them. Each step adds the tap with
    the largest gain per cost, or puts it in the place of another way to the same channels. It stops where no tap gains
    `least_gain` within the budget.
    """
    taken: list[Tap] = []
    now, paid = detection(taken), cost(taken)
    while True:
        best: tuple[float, float] = (0.0, 0.0)
        found: tuple[list[Tap], float, float] | None = None
        for tap in candidates:
            if tap in taken:
                continue
            other = in_place_of(tap, taken)
            price = cost(other)
            if price > budget:
                continue
            value = detection(other)
            if value - now < least_gain:
                continue
            worth = _per_cost(value - now, price - paid), value - now
            if worth > best:
                best, found = worth, (other, value, price)
        if found is None:
            return taken
        taken, now, paid = found


def without_least(taken: Sequence[Tap], detection: Valued, cost: Valued) -> list[Tap]:
    """The taps but for that which adds least for its cost. Raises ValueError for none."""
    if not taken:
        raise ValueError("expected taps of which one can go, got none")
    now, paid = detection(taken), cost(taken)

    def worth(i: int) -> float:
        rest = [*taken[:i], *taken[i + 1 :]]
        return _per_cost(now - detection(rest), paid - cost(rest))

    least = min(range(len(taken)), key=worth)
    return [*taken[:least], *taken[least + 1 :]]


def _per_cost(gain: float, cost: float) -> float:
    """The gain for each unit of cost. A gain that costs nothing, or saves, comes before all others."""
    return gain / cost if cost > _LEAST_COST else math.copysign(math.inf, gain) if gain else 0.0
