"""What a frame costs: the network with its taps, and the monitor beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..data.arrays import rows_of, taken
from .results import Cost

if TYPE_CHECKING:
    from ..monitor import Monitor

_RUNS = 5


def cost_of(monitor: Monitor, batch: Any, runs: int = _RUNS) -> Cost:
    """Microseconds a frame of a batch (n, *input_shape), the smallest of so many runs, and the bytes of the profile.

    A recurrent network is reset before and behind it. Raises NotReadyError before `calibrate`.
    """
    network = monitor.network
    frames = taken(batch, network)
    n = rows_of(frames, network.inputs)
    network.reset()
    check = _smallest(lambda: monitor.check(frames), runs) / n
    observe = _smallest(lambda: network.observe(frames), runs) / n
    network.reset()
    return Cost(check, observe, max(check - observe, 0.0), n, monitor.learned.nbytes)


def _smallest(call: Callable[[], object], runs: int) -> float:
    """Microseconds of the quickest of so many calls, after one that warms up."""
    call()
    found = []
    for _ in range(runs):
        before = time.perf_counter_ns()
        call()
        found.append((time.perf_counter_ns() - before) / 1e3)
    return min(found)
