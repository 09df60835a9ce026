"""Scores of a monitor and of rivals on the columns of a table, and the figures made of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from outrider.monitor import Monitor, OutriderWarning, auroc, clopper_pearson, conformal_threshold
from outrider.monitor.evaluation import aupr, fpr_at_tpr
from outrider.networks import ImageSet

from .attacks import EvaluationSet
from .experiments import Experiment
from .kept import Scores

RATE = 0.05
BATCH = 250


def batches(data: ImageSet) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(data), BATCH):
        part = data[slice(start, start + BATCH)]
        yield part.floats(), part.labels


def our_scores(make: Callable[[], Monitor], experiment: Experiment, columns: Sequence[EvaluationSet]) -> Scores:
    """Profile, calibrate with the options of the experiment, then judge the columns.

    What is flagged is what alarms: by the threshold of the class predicted, broken frames too. Images are ranked by how
    far they lie above that threshold, as `outrider evaluate` ranks them.
    """
    monitor = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OutriderWarning)
        monitor.profile(batches(experiment.seen))
        calibration = monitor.calibrate(batches(experiment.held_out), RATE, **experiment.calibrate)
    values, flagged = [], []
    for column in columns:
        parts = [monitor.check(part)[1] for part in _split(column.images)]
        values.append(np.concatenate([verdicts.score - verdicts.threshold for verdicts in parts]))
        flagged.append(np.concatenate([verdicts.alarm for verdicts in parts]))
    facts = {
        "bytes": monitor.learned.nbytes,
        "leak": calibration.leak,
        "own_thresholds": int(calibration.own.sum()),
        "warnings": [str(warning.message) for warning in caught if warning.category is OutriderWarning],
    }
    return Scores(values, flagged, None, facts)


def by_threshold(values: Sequence[np.ndarray], calibrating: np.ndarray, drives: np.ndarray | None) -> list[np.ndarray]:
    """What a rival flags, by one threshold for all: that of split conformal prediction, as ours.

    values: (n,) for each column. calibrating: (m,), the scores of held-out images. drives: (m,), the drive of each.
    """
    threshold = conformal_threshold(_finite(calibrating), RATE, drives)
    return [_finite(column) > threshold for column in values]


def judged(scores: Scores, names: Sequence[str], few: np.ndarray | None = None) -> dict[str, Any]:
    """The figures of a row: false alarms on the clean images, and for every other column how it is told from them.

    few: (clean images,) bool, which of them are of a class with few profiled images.
    """
    clean, alarms = _finite(scores.values[0]), scores.flagged[0]
    row: dict[str, Any] = _rate("false_alarms", alarms)
    if few is not None and few.any():
        of_few = alarms[few if scores.chosen is None else few[scores.chosen[0]]]
        row |= _rate("few_false_alarms", of_few) | {"few": len(of_few)}
    row["columns"] = {}
    for name, raw, flagged in zip(names[1:], scores.values[1:], scores.flagged[1:], strict=True):
        values = _finite(raw)
        row["columns"][name] = {
            "auroc": auroc(clean, values),
            "aupr": aupr(clean, values),
            "fpr95": fpr_at_tpr(clean, values),
            **_rate("flagged", flagged),
        }
    for figure in ("auroc", "flagged"):
        row[f"mean_{figure}"] = float(np.mean([cell[figure] for cell in row["columns"].values()]))
    if scores.chosen is not None:
        row["judged"] = [len(column) for column in scores.values]
    return row | scores.facts


def sizes(columns: Sequence[EvaluationSet]) -> dict[str, dict]:
    """How many images a column has, how many were attacked for it, and how far they were moved."""
    return {c.name: {"n": len(c.images), "tried": c.tried, "l2": c.l2, "linf": c.linf} for c in columns}


@torch.no_grad()
def accuracy(module: torch.nn.Module, data: ImageSet) -> float:
    """The share of images that the network classifies as labelled."""
    right = sum(int((module(torch.from_numpy(x)).argmax(1).numpy() == labels).sum()) for x, labels in batches(data))
    return right / len(data)


def _rate(name: str, alarms: np.ndarray) -> dict[str, Any]:
    count = int(alarms.sum())
    return {name: count / len(alarms), f"{name}_interval": clopper_pearson(count, len(alarms))}


def _split(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]


def _finite(values: np.ndarray) -> np.ndarray:
    """NaN and infinity as the highest score there is, which is an alarm."""
    highest = np.finfo(np.float64).max
    return np.nan_to_num(np.asarray(values, np.float64), nan=highest, posinf=highest, neginf=-highest)
