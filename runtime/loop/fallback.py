"""What a guard hands on while it does not trust the network: callables `(output, verdict, last_safe) -> output`.

output: the network's own, None where it could not run. last_safe: the output of the last frame that was OK, None before
the first. Outputs are arrays or tuples of arrays, without the batch axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...monitor import Verdict

Fallback = Callable[[Any, Verdict, Any], Any]


def hold_last_safe(output: Any, verdict: Verdict, last_safe: Any) -> Any:
    """The output of the last frame that was OK; None before the first."""
    return last_safe


def stop(output: Any, verdict: Verdict, last_safe: Any) -> Any:
    """Zeros in the form of the output, None where no form is known."""
    return _map(np.zeros_like, last_safe if output is None else output)


def scale_down(factor: float) -> Fallback:
    """The output times a factor, 0 <= factor < 1. Where the network gave none, the last safe output times it."""
    if not 0 <= factor < 1:
        raise ValueError(f"expected a factor of at least 0 and below 1, got {factor}")
    return lambda output, _verdict, last_safe: _map(lambda v: v * factor, last_safe if output is None else output)


def hand_over(other: Callable[[Any, Verdict], Any]) -> Fallback:
    """The output of another controller, which is called with the network's output and the verdict."""
    return lambda output, verdict, _last_safe: other(output, verdict)


def _map(change: Callable[[Any], Any], output: Any) -> Any:
    if output is None:
        return None
    return tuple(change(value) for value in output) if isinstance(output, tuple) else change(output)
