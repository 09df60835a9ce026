"""In which order pairs come: easy ones first, then medium ones as well, then all (SafeR-CLIP, progressive training)."""

from __future__ import annotations

import numpy as np

from ..order import batches
from ..schedule import Schedule

LEVELS = 3
"""Easy, medium, hard: thirds of the pairs by their similarity."""


def levels(similarity: np.ndarray) -> np.ndarray:
    """How hard each pair is, (n,) int64 from 0 for easy to 2: thirds, those of the highest similarity first.

    similarity: (n,), of the safe and the unsafe item of a pair. Pairs of equal similarity keep their order.
    """
    values = np.asarray(similarity, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"expected finite similarities (n,), n at least 1, got shape {values.shape}")
    found = np.empty(len(values), np.int64)
    found[np.argsort(-values, kind="stable")] = np.arange(len(values)) * LEVELS // len(values)
    return found


def curriculum(similarity: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Which pair each draw takes, (draws,) int64: once all easy ones, once easy and medium ones, then all in turn.

    Each of these rounds is shuffled anew. An epoch of the paper is a round here: 1, 2, and from 3 on.
    """
    hard = levels(similarity)
    rounds: list[np.ndarray] = []
    while sum(map(len, rounds)) < draws:
        turn = len(rounds)
        pairs = np.flatnonzero(hard <= turn)
        rounds.append(np.random.default_rng((seed, turn)).permutation(pairs))
    return np.concatenate(rounds)[:draws]


def places(draws: np.ndarray, schedule: Schedule) -> np.ndarray:
    """Which pair stands where, (steps × batch,) int64, so that training that shuffles by its schedule draws in order.

    draws: (steps × batch,), the pair of each draw. `train` takes examples in an order that its seed fixes, each once:
    this undoes it.
    """
    number = schedule.steps * schedule.batch
    if len(draws) != number:
        raise ValueError(f"expected {number} draws, {schedule.steps} steps of {schedule.batch}, got {len(draws)}")
    found = np.empty(number, np.int64)
    found[np.ravel(batches(number, schedule.batch, schedule.steps, schedule.seed))] = draws
    return found
