"""Short answers of a decoder in batches, greedy, each only as long as it has to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...transformers.decoder import Decoder
from ...transformers.importing import cache_keyword, import_transformers

LONGEST = 32
"""Tokens of an answer to a prompt that may be unsafe: no more than a judgement needs."""


class Written(NamedTuple):
    """An answer. whole: whether the model ended it itself. tokens: how many were written, its end among them."""

    text: str
    whole: bool
    tokens: int


def written(
    decoder: Decoder,
    prompts: Sequence[Any],
    tokens: int = LONGEST,
    *,
    batch: int = 32,
    enough: Callable[[str], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Written]:
    """The first tokens of the greedy answers, in the order of the prompts.

    Prompts of about one length go together, padded on the left. enough(text): whether an answer that has come so far
    need not go on; such a one leaves its batch, as one that has ended does. progress: called with the prompts done and
    those in all. Raises PromptError for a prompt that the decoder cannot take, ValueError for a decoder without a chat
    template.
    """
    if tokens < 1 or batch < 1:
        raise ValueError(f"expected at least 1 token and 1 prompt a batch, got {tokens} and {batch}")
    order = sorted(range(len(prompts)), key=lambda i: _length(prompts[i]))
    found: dict[int, Written] = {}
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        answers = _batch(decoder, [prompts[i] for i in places], tokens, enough)
        found.update(zip(places, answers, strict=True))
        if progress is not None:
            progress(len(found), len(prompts))
    return [found[i] for i in range(len(prompts))]


@torch.no_grad()
def _batch(
    decoder: Decoder, prompts: Sequence[Any], tokens: int, enough: Callable[[str], bool] | None
) -> list[Written]:
    """One batch: a pass over the prompts, then a token at a time for the rows that go on."""
    ends = ends_of(decoder)
    given: dict[str, Any] = decoder.encode(prompts)
    mask = given["attention_mask"]
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = import_transformers().DynamicCache()
    rows = list(range(len(prompts)))
    taken: list[list[int]] = [[] for _ in prompts]
    given = {**given, "position_ids": positions}
    while True:
        last = _last_logits(decoder, given, cache).argmax(-1)
        live = []
        for place, row in enumerate(rows):
            token = int(last[place])
            taken[row].append(token)
            told = enough is not None and enough(_text(decoder, taken[row], ends))
            if not (token in ends or told or len(taken[row]) >= tokens):
                live.append(place)
        if not live:
            return [Written(_text(decoder, one, ends), one[-1] in ends, len(one)) for one in taken]
        if len(live) < len(rows):
            kept = torch.tensor(live, device=mask.device)
            cache.batch_select_indices(kept)
            mask, positions, last = mask[kept], positions[kept], last[kept]
            rows = [rows[place] for place in live]
        mask = functional.pad(mask, (0, 1), value=1)
        positions = positions[:, -1:] + 1
        given = {"input_ids": last[:, None], "attention_mask": mask, "position_ids": positions}


def _last_logits(decoder: Decoder, given: dict[str, Any], cache: Any) -> Tensor:
    model = decoder.model
    return model(**given, **{cache_keyword(): cache, "use_cache": True, "logits_to_keep": 1}).logits[:, -1]


def ends_of(decoder: Decoder) -> set[int]:
    """The tokens that end an answer, by the model's configuration and its tokenizer."""
    named = [decoder.model.generation_config.eos_token_id, decoder.model.config.eos_token_id]
    named.append(getattr(decoder.processor, "tokenizer", decoder.processor).eos_token_id)
    listed = [one for some in named for one in (some if isinstance(some, list | tuple) else [some])]
    return {int(one) for one in listed if one is not None}


def _text(decoder: Decoder, tokens: Sequence[int], ends: set[int]) -> str:
    tokenizer = getattr(decoder.processor, "tokenizer", decoder.processor)
    return str(tokenizer.decode([token for token in tokens if token not in ends]))


def _length(prompt: Any) -> int:
    return len(prompt) if isinstance(prompt, str) else len(getattr(prompt, "text", str(prompt)))
