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
from .trial import Trial


def rounds_behind(tap: Tap) -> bool:
    """Whether a tap may change where ONNX Runtime rounds to half precision: behind an activation it rounds anyway."""
    return tap.dtype == "float16" and tap.kind not in ACTIVATIONS | GATES | {OUTPUT}


def warn_of_other_outputs(
    runtime: Runtime, bare: Any, tapped: Any, trial: Trial, outputs: Sequence[str], taps: Sequence[Tap]
) -> None:
    """Warn where two sessions, without and with these taps, give other outputs for a batch of noise."""
    values = np.random.default_rng(0).normal(size=(trial.batch, *trial.sample))
    frames = values.astype(trial.dtype) if "float" in trial.dtype else np.zeros(values.shape, trial.dtype)
    one, other = (runtime.run(session, list(outputs), {trial.input: frames}) for session in (bare, tapped))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True)):
        warnings.warn(
            "the outputs differ from those of the bare model in the last digits of half precision, since ONNX Runtime"
            f" rounds elsewhere for taps on {', '.join(repr(tap.name) for tap in taps[:3])}; tap activations instead",
            NetworkWarning,
            stacklevel=3,
        )
