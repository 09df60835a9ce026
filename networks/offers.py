"""What a network offers to be tapped, and what stands against it: for a user who looks for the names to ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .inputs import Input
from .selectors import choose
from .tap import Candidate

if TYPE_CHECKING:
    from .onnx.reading.moves import MovedTap


@dataclass(frozen=True)
class Offer:
    """The tensors of a network as candidates for taps, those with an obstacle included.

    candidates: in the order in which they are computed, class scores last; of PyTorch, the modules that cannot be
    tapped come after them. inputs: what a frame is made of, where that is known by name. moves: by the tensor asked
    for, where a tap stands elsewhere (see `OnnxNetwork`).
    """

    engine: str
    input_shape: tuple[int | None, ...]
    candidates: tuple[Candidate, ...]
    moves: Mapping[str, MovedTap] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()

    def asked(self, selectors: str | Sequence[str]) -> tuple[str, ...]:
        """The tensors that selectors mean. Raises ValueError as `choose` does."""
        return tuple(dict.fromkeys(tap.name for tap in choose(self.candidates, selectors, "channel")))

    def taken(self, selectors: str | Sequence[str]) -> tuple[str, ...]:
        """The tensors where the taps stand that selectors ask for. Raises ValueError as `choose` does."""
        asked = self.asked(selectors)
        return tuple(dict.fromkeys(self.moves[name].taken if name in self.moves else name for name in asked))
