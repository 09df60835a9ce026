"""The meaning of the class scores of `DriveNet`, and its weights, without torch and onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..scores import LOGITS, probabilities

WEIGHTS = Path(__file__).parent / "weights"
STEERING = np.linspace(-0.3, 0.3, 7, dtype=np.float32)
"""The steering angle of each class, in radians to the right."""


def steering_of(logits: np.ndarray) -> float:
    """The mean angle under the softmax of the class scores, (7,)."""
    return float(probabilities(logits[None], LOGITS)[0] @ STEERING)


def labels_of(steering: np.ndarray) -> np.ndarray:
    """Steering angles (n,) as shares (n, 7) float32 of the two nearest classes, whose weighted mean they are."""
    position = np.clip((steering - STEERING[0]) / (STEERING[1] - STEERING[0]), 0, len(STEERING) - 1)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(len(STEERING))), 0).astype(np.float32)


def drive_model(folder: Path = WEIGHTS) -> Path:
    """The path of the trained ONNX model, by default the shipped one. Raises FileNotFoundError where it is missing."""
    return trained_file(folder / "drive.onnx")


def trained_file(path: Path) -> Path:
    """The path as it is. Raises FileNotFoundError, with the command that makes the file, where it is missing."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}; make them with `outrider demo drive --retrain`")
    return path
