"""Paired timing: the candidates take turns, so that a slow spell of the machine meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np


def paired(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 20) -> dict[str, np.ndarray]:
    """Seconds of each candidate, (rounds,) each: one call of every one a round, in turning order."""
    names = list(candidates)
    for _ in range(warm_up):
        for call in candidates.values():
            call()
    times = {name: np.empty(rounds) for name in names}
    for i in range(rounds):
        for k in range(len(names)):
            name = names[(i + k) % len(names)]
            began = time.perf_counter()
            candidates[name]()
            times[name][i] = time.perf_counter() - began
    return times


def ratio(times: Mapping[str, np.ndarray], name: str, base: str) -> float:
    """The median of the paired ratios of two candidates."""
    return float(np.median(times[name] / times[base]))


def ratio_interval(times: Mapping[str, np.ndarray], name: str, base: str) -> tuple[float, float]:
    """The 95 % interval of that median, by the order of the ratios alone: a binomial tells the ranks of its ends.

    It takes rounds for independent draws. Of few rounds it is the smallest and the largest.
    """
    from scipy.stats import binom

    ratios = np.sort(times[name] / times[base])
    left_out = max(int(binom.ppf(0.025, len(ratios), 0.5)) - 1, 0)
    return float(ratios[left_out]), float(ratios[-1 - left_out])
