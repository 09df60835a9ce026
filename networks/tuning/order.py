"""The order in which examples come: shuffled, fixed by a seed, each once before any comes again."""

from __future__ import annotations

import numpy as np


def batches(examples: int, batch: int, steps: int, seed: int) -> list[list[int]]:
    """Indices of examples (steps, batch). Raises ValueError for no examples.

    A new shuffle begins where the last one ended, in the middle of a batch if need be.
    """
    if examples < 1:
        raise ValueError(f"expected at least one example, got {examples}")
    turns = range(-(-batch * steps // examples))
    rounds = [np.random.default_rng((seed, turn)).permutation(examples) for turn in turns]
    order = np.concatenate(rounds)[: batch * steps]
    return [list(map(int, row)) for row in order.reshape(steps, batch)]
