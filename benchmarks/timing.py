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
