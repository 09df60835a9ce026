"""What to hand on while the guard does not trust the network: small callables `(output, verdict, last_safe) -> output`.

output: the network's own, None where it could not run. last_safe: the output of the last frame whose status was OK,
None before there was one. Outputs are arrays or tuples of arrays, without the batch axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...monitor import Verdict

Fallback = Callable[[Any, Verdict, Any], Any]


def hold_last_safe(output: Any, verdict: Verdict, last_safe: Any) -> Any:
    """The output of the last frame that was trusted; None before there was one."""
    return last_safe


def stop(output: Any, verdict: Verdict, last_safe: Any) -> Any:
    """Zeros in the form of the output: a command that commands nothing; None where no form is known."""
    return _map(np.zeros_like, last_safe if output is None else output)


def scale_down(factor: float) -> Fallback:
    """The output times a factor, 0 <= factor < 1; of the last trusted output where the network gave none."""
    if not 0 <= factor < 1:
        raise ValueError(f"expected a factor of at least 0 and below 1, got {factor}")

    def scaled(output: Any, verdict: Verdict, last_safe: Any) -> Any:
        return _map(lambda value: value * factor, last_safe if output is None else output)

    return scaled


def hand_over(other: Callable[[Any, Verdict], Any]) -> Fallback:
    """What another controller says, called with the network's output and the verdict."""

    def handed(output: Any, verdict: Verdict, last_safe: Any) -> Any:
        return other(output, verdict)

    return handed


def _map(change: Callable[[Any], Any], output: Any) -> Any:
    if output is None:
        return None
    return tuple(change(value) for value in output) if isinstance(output, tuple) else change(output)
