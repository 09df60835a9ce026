"""An attack that sees no more than what the monitor gives its user: class scores and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Ask = Callable[[np.ndarray], "Answers"]
"""Images (n, *shape) -> what network and monitor say of them."""
_SHARE = 0.3
_HALVED_AT = 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000
_OF_QUERIES = 10_000
_GOAL = 0.98  # of the threshold
_MOST = 1e9
_PARTS = 0.0, 0.25, 0.5, 1.0  # of the way from the start to where it may go at most


@dataclass(frozen=True)
class Answers:
    """What is seen of n images. logits: (n, classes). score, threshold: (n,). silent: (n,) bool, whether no alarm."""

    logits: np.ndarray
    score: np.ndarray
    threshold: np.ndarray
    silent: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """The logarithm of how many thresholds the score is; 0 below the threshold, at most that of a large number."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            thresholds = np.nan_to_num(self.score / self.threshold, nan=_MOST, posinf=_MOST)
        found: np.ndarray = np.log(np.maximum(thresholds / _GOAL, 1))
        return found


@dataclass(frozen=True)
class Squares:
    """What the search found: the best images, (n, *shape); whether each fooled the network, and evaded, (n,) bool."""

    images: np.ndarray
    fooled: np.ndarray
    evaded: np.ndarray


def square_attack(
    ask: Ask, start: np.ndarray, low: np.ndarray, high: np.ndarray, labels: np.ndarray, queries: int, seed: int = 0
) -> Squares:
    """Square attack in L∞ (Andriushchenko et al., ECCV 2020) on network and monitor together.

    It moves a random square of each image, and keeps that where the loss falls: the margin of the label, in margins of
    the start, plus the logarithm of how far the score lies above the threshold. Other than the published attack it
    begins at the image, without stripes, and also goes parts of the way and back: what lies at the ends of the ball
    everywhere raises an alarm. ask: sees the class scores, the score and whether there is an alarm, and nothing inside.
    start: (n, channels, height, width), else ValueError. low, high: how far each number may go. queries: for each image
    at most.
    """
    if start.ndim != 4:
        raise ValueError(f"expected images (n, channels, height, width) for the square attack, got {start.shape}")
    rng = np.random.default_rng(seed)
    channels, height, width = start.shape[1:]
    answers = ask(start)
    scale = np.maximum(_margin(answers.logits, labels), 1e-3)
    images, loss = start.copy(), _loss(answers, labels, scale)
    fooled, evaded = _fooled(answers, labels), _fooled(answers, labels) & answers.silent
    for query in range(1, queries):
        rows = np.flatnonzero(~evaded)
        if not len(rows):
            break
        side = _side(query, queries, height, width)
        trial = images[rows]
        for i, row in enumerate(rows):
            y, x = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
            window = slice(None), slice(y, y + side), slice(x, x + side)
            upper, part = rng.integers(0, 2, (channels, 1, 1)).astype(bool), np.float32(rng.choice(_PARTS))
            end, begin = np.where(upper, high[row][window], low[row][window]), start[row][window]
            trial[i][window] = np.clip(begin + part * (end - begin), low[row][window], high[row][window])
        answers = ask(trial)
        lower = _loss(answers, labels[rows], scale[rows])
        errs = _fooled(answers, labels[rows])
        better = (lower < loss[rows]) | (errs & answers.silent)
        images[rows[better]], loss[rows[better]] = trial[better], lower[better]
        fooled[rows] |= errs
        evaded[rows] |= errs & answers.silent
    return Squares(images, fooled, evaded)


def _margin(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    rows = np.arange(len(labels))
    others = logits.astype(np.float64).copy()
    others[rows, labels] = -np.inf
    margin: np.ndarray = logits[rows, labels] - others.max(axis=1)
    return margin


def _fooled(answers: Answers, labels: np.ndarray) -> np.ndarray:
    fooled: np.ndarray = answers.logits.argmax(axis=1) != labels
    return fooled


def _loss(answers: Answers, labels: np.ndarray, scale: np.ndarray) -> np.ndarray:
    loss: np.ndarray = np.maximum(_margin(answers.logits, labels) / scale + 0.02, 0) + answers.excess
    return loss


def _side(query: int, queries: int, height: int, width: int) -> int:
    """The side of the squares: the published share of the image, halved at the published shares of the queries."""
    at = query / queries * _OF_QUERIES
    share = _SHARE / 2 ** sum(at > bound for bound in _HALVED_AT)
    return int(np.clip(round(np.sqrt(share * height * width)), 1, min(height, width)))
