"""The lower layers of a model, run once for each text: adapters on the upper ones alone leave them as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

BATCH = 16


class LowerLayers:
    """What reaches layer `below` of a decoder's backbone, remembered by the tokens of a row.

    model: a causal model of transformers that is not a peft model, such as Llama. Rows are padded on the right by
    `padding`; a row is remembered without it, and an end token that equals it, which no later token sees, with it.
    """

    def __init__(self, model: Any, below: int, padding: int, precision: str = "bfloat16") -> None:
        self.backbone = model.get_decoder()
        self.below, self.padding, self.precision = below, padding, precision
        self.seen: dict[tuple[int, ...], Tensor] = {}
        self._layers = list(self.backbone.layers[:below])
        self._embedding = self.backbone.embed_tokens

    def learn(self, rows: list[list[int]]) -> None:
        """Run the lower layers on rows of tokens, (tokens,) each, that were not seen before."""
        new = sorted({self._key(row) for row in rows} - self.seen.keys(), key=len)
        for start in range(0, len(new), BATCH):
            keys = new[start : start + BATCH]
            for key, hidden in zip(keys, self._run(keys), strict=True):
                self.seen[key] = hidden[: len(key)].to(torch.bfloat16 if self.precision == "bfloat16" else hidden.dtype)

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """In its block the backbone looks up what its lower layers gave, in place of running them."""
        changed = [self._embedding, *self._layers]
        self._embedding.forward = self._looked_up
        for layer in self._layers:
            layer.forward = _passed_on
        try:
            yield
        finally:
            for module in changed:
                del module.forward

    def _looked_up(self, tokens: Tensor) -> Tensor:
        weight = self._embedding.weight
        rows = tokens.tolist()
        if any(self._key(row) not in self.seen for row in rows):
            raise KeyError(
                "expected rows that learn() was given, got others: in this block the lower layers do not run"
            )
        out = torch.zeros((*tokens.shape, weight.shape[1]), dtype=weight.dtype, device=tokens.device)
        for place, row in enumerate(rows):
            hidden = self.seen[self._key(row)]
            out[place, : len(hidden)] = hidden.to(weight.dtype)
        return out

    def _key(self, row: list[int]) -> tuple[int, ...]:
        end = len(row)
        while end > 1 and row[end - 1] == self.padding:
            end -= 1
        return tuple(row[:end])

    @torch.no_grad()
    def _run(self, keys: list[tuple[int, ...]]) -> Tensor:
        longest = max(len(key) for key in keys)
        tokens = torch.tensor([[*key, *[self.padding] * (longest - len(key))] for key in keys])
        caught: list[Tensor] = []
        hook = self.backbone.layers[self.below].register_forward_pre_hook(_catching(caught), with_kwargs=True)
        kind = self._embedding.weight.device.type
        try:
            with torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bfloat16"):
                self.backbone(input_ids=tokens.to(self._embedding.weight.device), use_cache=False)
        except _Caught:
            pass
        finally:
            hook.remove()
        return caught[0]


class _Caught(Exception):
    """Leaves a pass that has given what is wanted."""


def _catching(caught: list[Tensor]) -> Any:
    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught.append((args[0] if args else kwargs["hidden_states"]).detach())
        raise _Caught

    return hook


def _passed_on(hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
    return hidden_states
