"""Sequences of the testbed's language, as arrays that a causal language model is trained and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

IGNORED = -100  # the label of a place where no loss is taken


@dataclass(frozen=True)
class Sequences:
    """n sequences ``task tokens · text · answer mark · output 1 · next mark · output 2``, L places each.

    tokens (n, L) int64 hold the right outputs; mask (n, L) bool is where something stands. first (n,) int64 is the
    place of the first output letter, second (n,) that of output 2's. answers and refusals (n, L) int64 are the letters
    wanted at each output place, -100 elsewhere. unsafe (n,) bool; tasks (n, 4), grammars (n,) and lengths (n,) int64.
    """

    tokens: NDArray[np.int64]
    mask: NDArray[np.bool_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    answers: NDArray[np.int64]
    refusals: NDArray[np.int64]
    unsafe: NDArray[np.bool_]
    tasks: NDArray[np.int64]
    grammars: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, chosen: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Sequences:
        """Some of them, by a slice or an array."""
        return Sequences(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    @property
    def preferred(self) -> NDArray[np.int64]:
        """The labels (n, L) of a safe model: the refusal of unsafe sequences, the answer of the others."""
        return np.where(self.unsafe[:, None], self.refusals, self.answers)

    @property
    def dispreferred(self) -> NDArray[np.int64]:
        """The labels (n, L) of the other way round."""
        return np.where(self.unsafe[:, None], self.answers, self.refusals)

    def spoken(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens (n, L) with the outputs that these labels want."""
        return np.where(labels == IGNORED, self.tokens, labels)


def joined(parts: Sequence[Sequences]) -> Sequences:
    """Several one after another."""
    return Sequences(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Sequences)}
    )
