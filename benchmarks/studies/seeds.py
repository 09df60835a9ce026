"""Figures over seeds: the mean with its interval, and whether a claim held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HELD, PARTLY, NOT = "held", "partly", "not held"


def over_seeds(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean and 95 % t-interval of one number a seed; None for its ends where there is one seed.

    A number that is missing makes all of them NaN, which no bound lies below.
    """
    from scipy.stats import t

    of = np.array(values, np.float64)
    mean = float(of.mean()) if len(of) else float("nan")
    if len(of) < 2:
        return mean, None, None
    half = float(t.ppf(0.975, len(of) - 1) * of.std(ddof=1) / np.sqrt(len(of)))
    return mean, mean - half, mean + half


def verdict(values: Sequence[float], bound: float) -> str:
    """Whether numbers, one a seed, lie above a bound.

    Held, if the lower end of their interval does; partly, if that is not so but every seed does; else not. One seed has
    no interval, and holds partly at best. With three seeds, numbers about which nothing is true hold partly one time in
    eight.
    """
    low = over_seeds(values)[1]
    if low is not None and low > bound:
        return HELD
    return PARTLY if len(values) and all(value > bound for value in values) else NOT
