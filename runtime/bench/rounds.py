"""As many rounds of paired timing as fit into the seconds that a user gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ...networks.cost import paired

FEWEST = 20
"""Rounds that are made, however long they take."""
_COLD, _TRIED = 1, 3  # rounds that tell how long one takes; the first of all is not counted
_REPORTS = 100  # of the progress, which takes time itself

Calls = Mapping[str, Callable[[], object]]


def rounds_in(calls: Calls, seconds: float) -> int:
    """Whole turns of rounds, in which each call stands once at each place: as many as fit, and 20 rounds or more."""
    tried = paired(calls, _TRIED, warm_up=_COLD)
    turn = len(calls) * sum(float(np.median(times)) for times in tried.values())
    fitting = int(seconds / turn) if turn > 0 else 0
    return len(calls) * max(fitting, math.ceil(FEWEST / len(calls)))


def timed(calls: Calls, rounds: int, progress: Callable[[int], object] | None = None) -> dict[str, np.ndarray]:
    """Seconds of each call, (rounds,) each; see `paired`.

    Each turn has an order of its own: what a call costs depends on the one before it, which leaves other things in the
    caches. progress: called between turns with the rounds done, about a hundred times in all.
    """
    rng, names, parts = np.random.default_rng(0), list(calls), []
    starts = range(0, rounds, len(calls))
    seldom = max(len(starts) // _REPORTS, 1)
    for turn, start in enumerate(starts, 1):
        done = min(start + len(calls), rounds)
        parts.append(paired({name: calls[name] for name in rng.permutation(names)}, done - start, warm_up=0))
        if progress and (turn % seldom == 0 or done == rounds):
            progress(done)
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
