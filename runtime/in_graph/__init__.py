"""The monitor as nodes: criteria, logics and the verdict written with standard ONNX operators."""

from __future__ import annotations

from .builder import (
    NAMES,
    OLDEST_OPSET,
    OUTPUTS,
    Model,
    add_monitor,
    default_thresholds,
    refuse_what_cannot_be_exported,
)

__all__ = [
    "NAMES",
    "OLDEST_OPSET",
    "OUTPUTS",
    "Model",
    "add_monitor",
    "default_thresholds",
    "refuse_what_cannot_be_exported",
]
