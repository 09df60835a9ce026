"""Scores of a monitor on the columns of a table, and the figures made of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch

from outrider.monitor import Monitor, OutriderWarning, auroc, clopper_pearson
from outrider.networks import ImageSet

from .attacks import EvaluationSet

RATE = 0.05
BATCH = 250


def batches(data: ImageSet) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(data), BATCH):
        part = data[slice(start, start + BATCH)]
        yield part.floats(), part.labels


def our_scores(make: Callable[[], Monitor], seen: ImageSet, held_out: ImageSet, columns: list[EvaluationSet]) -> dict:
    """Profile on `seen`, calibrate on `held_out`, then score the columns."""
    monitor = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OutriderWarning)
        monitor.profile(batches(seen))
        calibration = monitor.calibrate(batches(held_out), RATE)
    scores = [
        np.concatenate([monitor.scores(column.images[i : i + BATCH]) for i in range(0, len(column.images), BATCH)])
        for column in columns
    ]
    return {
        "scores": scores,
        "threshold": float(calibration.thresholds[0]),
        "bytes": monitor.learned.nbytes,
        "leak": calibration.leak,
        "warnings": [str(warning.message) for warning in caught if warning.category is OutriderWarning],
    }


def judged(scores: list[np.ndarray], threshold: float, columns: list[EvaluationSet]) -> dict:
    """False alarms on the test images, and AUROC and share flagged of every other column."""
    test = np.nan_to_num(scores[0], nan=np.finfo(np.float32).max, posinf=np.finfo(np.float32).max)
    flagged = int((~(scores[0] <= threshold)).sum())
    row: dict = {
        "false_alarms": flagged / len(test),
        "false_alarms_interval": clopper_pearson(flagged, len(test)),
        "columns": {},
    }
    for column, values in zip(columns[1:], scores[1:], strict=True):
        row["columns"][column.name] = {
            "auroc": auroc(test, np.nan_to_num(values, nan=np.finfo(np.float32).max, posinf=np.finfo(np.float32).max)),
            "flagged": float((~(values <= threshold)).mean()),
        }
    row["mean_auroc"] = float(np.mean([cell["auroc"] for cell in row["columns"].values()]))
    return row


def sizes(columns: list[EvaluationSet]) -> dict[str, dict]:
    """How many images a column has, how many were attacked for it, and how far they were moved."""
    return {c.name: {"n": len(c.images), "tried": c.tried, "l2": c.l2, "linf": c.linf} for c in columns}


@torch.no_grad()
def accuracy(module: torch.nn.Module, data: ImageSet) -> float:
    """The share of images that the network classifies as labelled."""
    right = sum(int((module(torch.from_numpy(x)).argmax(1).numpy() == labels).sum()) for x, labels in batches(data))
    return right / len(data)
