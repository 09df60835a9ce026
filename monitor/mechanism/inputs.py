"""Token sequences as the measures take them: tokens, which of them count, and where the prompt ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenInputs:
    """Sequences of a causal model, padded on either side.

    tokens: (n, length) int64. mask: (n, length), 0 for padding. last: (n,) int64, the place of the prompt's last token,
    whose logits give the first token of the output; what stands behind it are outputs that the model is fed. numbers:
    the position of each token, (n, length) int64; None counts the tokens of each row that are no padding.
    Raises ValueError for shapes that do not fit, no sequences, or a `last` on padding.
    """

    tokens: Tensor
    mask: Tensor
    last: Tensor
    numbers: Tensor | None = None

    def __post_init__(self) -> None:
        if self.tokens.ndim != 2 or not len(self.tokens):
            raise ValueError(f"expected tokens (n, length) of one sequence or more, got {tuple(self.tokens.shape)}")
        n, length = self.tokens.shape
        if self.mask.shape != (n, length) or self.last.shape != (n,):
            raise ValueError(
                f"expected a mask of {(n, length)} and last of {(n,)},"
                f" got {tuple(self.mask.shape)} and {tuple(self.last.shape)}"
            )
        if self.numbers is not None and self.numbers.shape != (n, length):
            raise ValueError(f"expected positions of {(n, length)}, got {tuple(self.numbers.shape)}")
        inside = (self.last >= 0) & (self.last < length)
        if not bool(inside.all()) or not bool(self.mask.gather(1, self.last[:, None]).bool().all()):
            raise ValueError("expected `last` to name a token of its row, got a place outside it or padding")

    def __len__(self) -> int:
        return len(self.tokens)

    def part(self, rows: Any) -> TokenInputs:
        """Some of the sequences. rows: a slice, indices or a mask of rows."""
        return self.changed(lambda values: values[rows])

    def places(self, count: int) -> Tensor:
        """The first so many output positions, (n, count) int64: the prompt's last token and those behind it.

        At these the model says the first `count` tokens of its output. Raises ValueError where a row has fewer.
        """
        found = self.last[:, None] + torch.arange(count, device=self.last.device)
        if count < 1 or int(found.max()) >= self.tokens.shape[1]:
            room = int(self.tokens.shape[1] - self.last.max())
            raise ValueError(f"expected between 1 and {room} output positions, got {count}; feed more of the output")
        if not bool(self.mask.gather(1, found).bool().all()):
            raise ValueError(f"expected {count} output positions without padding in each row, got some with")
        return found

    def cut(self, count: int) -> TokenInputs:
        """The same without what stands behind the first `count` output positions of the longest row."""
        self.places(count)
        end = int(self.last.max()) + count
        return self.changed(lambda values: values[:, :end] if values.ndim > 1 else values)

    def batches(self, size: int, count: int, device: Any) -> Iterator[tuple[slice, TokenInputs]]:
        """So many rows at a time on the device, each cut to what is needed, with their places."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield rows, self.part(rows).cut(count).changed(lambda values: values.to(device))

    @property
    def positions(self) -> Tensor:
        """The number of each token in its own sequence, (n, length) int64: as given, or from 0 without padding."""
        return (self.mask.long().cumsum(1) - 1).clamp(min=0) if self.numbers is None else self.numbers

    def changed(self, change: Callable[[Tensor], Tensor]) -> TokenInputs:
        """The same with a function over each of its tensors."""
        numbers = None if self.numbers is None else change(self.numbers)
        return TokenInputs(change(self.tokens), change(self.mask), change(self.last), numbers)
