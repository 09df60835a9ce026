"""The taps that a choice is made among, and the word that asks for a choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ...networks import Tap
from ...networks.neurons import lattice
from ...networks.selectors import BUDGET, OUTPUT

SAMPLES = 7, 4
"""K of the ways ``sampleK`` that are tried, the dearest first."""


def budget_of(selectors: str | Sequence[str]) -> float | None:
    """R of ``budget:R``; None of selectors without that word.

    Raises ValueError for R that is no number above 1, and for other selectors beside it.
    """
    words = [selectors] if isinstance(selectors, str) else list(selectors)
    found = [word for word in words if word.startswith(BUDGET)]
    if not found:
        return None
    if len(words) > 1:
        others = ", ".join(word for word in words if word != found[0]) or found[0]
        raise ValueError(f"expected {found[0]} alone, as it chooses all taps, got {others} beside it")
    try:
        return checked_budget(float(found[0].removeprefix(BUDGET)))
    except ValueError:
        raise ValueError(
            f"expected a number above 1 behind {BUDGET!r}, such as {BUDGET}1.05, got {words[0]!r}"
        ) from None


def checked_budget(budget: float) -> float:
    """The budget. Raises ValueError where it is no finite number above 1."""
    if not 1 < budget < math.inf:
        raise ValueError(f"expected a budget above 1, such as 1.05 for a twentieth more time, got {budget!r}")
    return float(budget)


def candidate_taps(taps: Sequence[Tap]) -> tuple[Tap, ...]:
    """The candidates that the default taps of a network make, without the class scores.

    What is read by channel is a candidate in few places too, ``sampleK``, where its map has more along an axis; once
    where two K mean the same places.
    """
    found = []
    for tap in taps:
        if tap.kind == OUTPUT:
            continue
        found.append(tap)
        sizes = [size for size in tap.map_sizes if size is not None]
        if tap.neurons == "channel" and tap.rows == 1 and len(sizes) == len(tap.map_sizes):
            ways = {
                tuple(lattice(size, k) for size in sizes): k for k in reversed(SAMPLES) if max(sizes, default=0) > k
            }
            found += [replace(tap, neurons=f"sample{k}") for k in reversed(ways.values())]
    return tuple(found)


def in_place_of(tap: Tap, chosen: Sequence[Tap]) -> list[Tap]:
    """The chosen taps with this one: it takes the place of another way to the means of the same channels.

    Units and largest values show something else and stand beside means.
    """
    return [one for one in chosen if not (_is_mean(tap) and _is_mean(one) and one.name == tap.name)] + [tap]


def _is_mean(tap: Tap) -> bool:
    return tap.neurons == "channel" or tap.sampled is not None
