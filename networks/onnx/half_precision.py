"""Half precision: whether taps change where ONNX Runtime rounds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..network import NetworkWarning
from ..selectors import ACTIVATIONS, GATES, OUTPUT
from ..tap import Tap
from .session import Runtime
from .trial import TrialRun


def may_round(tap: Tap) -> bool:
    """Whether a tap may make ONNX Runtime round to half precision; behind an activation it rounds in any case."""
    return tap.dtype == "float16" and tap.kind not in ACTIVATIONS | GATES | {OUTPUT}


def warn_of_rounding(
    runtime: Runtime, bare: Any, tapped: Any, trial: TrialRun, outputs: Sequence[str], taps: Sequence[str]
) -> None:
    """Warn where a session with taps of these names gives other outputs for noise than the one without taps."""
    frames = trial.noise()
    one, other = (runtime.run(session, list(outputs), frames) for session in (bare, tapped))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True)):
        warnings.warn(
            "the outputs differ from those of the bare model in the last digits of half precision, because ONNX Runtime"
            f" rounds elsewhere for taps on {', '.join(map(repr, taps[:3]))}; tap activations instead",
            NetworkWarning,
            stacklevel=3,
        )
