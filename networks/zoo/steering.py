"""What the class scores of `DriveNet` mean, and where its trained weights are; needs neither torch nor onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..network import probabilities

WEIGHTS = Path(__file__).parent / "weights"
STEERING = np.linspace(-0.3, 0.3, 7, dtype=np.float32)
"""The positions of the wheel that the classes stand for, in radians, to the right."""


def steering_of(logits: np.ndarray) -> float:
    """The mean of `STEERING` under the softmax. logits: (7,)."""
    return float(probabilities(logits[None])[0] @ STEERING)


def labels_of(steering: np.ndarray) -> np.ndarray:
    """(n,) steering as (n, 7) float32 shares of the two positions next to it, whose mean it is."""
    position = np.clip((steering - STEERING[0]) / (STEERING[1] - STEERING[0]), 0, len(STEERING) - 1)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(len(STEERING))), 0).astype(np.float32)


def drive_model(folder: Path = WEIGHTS) -> Path:
    """The trained network in ONNX, by default the shipped one. Raises FileNotFoundError when it is not there."""
    return trained_file(folder / "drive.onnx")


def trained_file(path: Path) -> Path:
    """The path itself. Raises FileNotFoundError, with the command that makes it, when there is no such file."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}; make them with `outrider demo drive --retrain`")
    return path
