"""The first words of answers, in batches: at most `MOST_TOKENS` tokens, greedy, and never written down.

What all conversations of a call begin with, such as an instruction and exemplars, goes through the model once.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from ....networks.transformers import Decoder

MOST_TOKENS = 32
"""No answer is ever longer, whatever is asked for: unsafe prompts are judged by how an answer begins."""
BATCH = 16
LOOKS = 4
"""Every so many tokens an answer is looked at, whether it is clear already."""

Progress = Callable[[int, int], object]
"""Called with the conversations done and those in all."""


@dataclass(frozen=True)
class Begun:
    """How an answer begins. read, written: tokens of the conversation and of the answer.

    text: its words, in memory alone: it is in no repr, no file and no log. Judge it and drop it.
    """

    read: int
    written: int
    text: str = field(repr=False)


def check_tokens(tokens: int) -> int:
    """The number of tokens. Raises ValueError outside 1 to `MOST_TOKENS`."""
    if not 1 <= tokens <= MOST_TOKENS:
        raise ValueError(f"expected answers of 1 to {MOST_TOKENS} tokens, got {tokens}; longer ones are never made")
    return tokens


def begin_answers(
    decoder: Decoder, conversations: Sequence[Sequence[int]], *, tokens: int = MOST_TOKENS, batch: int = BATCH,
    clear: Callable[[str], bool] | None = None, progress: Progress | None = None,
) -> list[Begun]:  # fmt: skip
    """How the model's greedy answers begin, one for each conversation, in order.

    conversations: token ids each, to the point where the answer begins. tokens: the most that are written. clear: says
    of an answer's words so far, every `LOOKS` tokens, that nothing more need be written. Equals one conversation at a
    time, to within rounding. Raises ValueError for more tokens than `MOST_TOKENS`, and for a conversation without any.
    """
    import torch

    check_tokens(tokens)
    tokenizer = getattr(decoder.processor, "tokenizer", decoder.processor)
    ends = _ends(decoder, tokenizer)
    found: dict[int, Begun] = {}
    for part in _prefills(decoder, conversations, batch):
        written: list[list[int]] = [[] for _ in part.rows]
        open_rows = list(range(len(part.rows)))
        logits, state = part.logits, part.state
        with torch.no_grad():
            for step in range(tokens):
                chosen = logits.argmax(-1).tolist()
                going = []
                for place, (row, token) in enumerate(zip(open_rows, chosen, strict=True)):
                    if token in ends:
                        continue
                    written[row].append(token)
                    if clear is None or len(written[row]) % LOOKS or not clear(_words(tokenizer, written[row])):
                        going.append(place)
                if not going or step == tokens - 1:
                    break
                state.select(going)
                open_rows = [open_rows[place] for place in going]
                logits = state.forward([[written[row][-1]] for row in open_rows])
        for row, index in enumerate(part.rows):
            found[index] = Begun(len(conversations[index]), len(written[row]), _words(tokenizer, written[row]))
        if progress is not None:
            progress(len(found), len(conversations))
    return [found[index] for index in range(len(conversations))]


def first_logits(
    decoder: Decoder, conversations: Sequence[Sequence[int]], *, batch: int = BATCH, progress: Progress | None = None
) -> Tensor:
    """The logits of the first token of each answer, (conversations, vocabulary) float32, on the CPU."""
    import torch

    rows: dict[int, Tensor] = {}
    for part in _prefills(decoder, conversations, batch):
        rows.update(zip(part.rows, part.logits.cpu(), strict=True))
        if progress is not None:
            progress(len(rows), len(conversations))
    return torch.stack([rows[index] for index in range(len(conversations))])


def shared_tokens(conversations: Sequence[Sequence[int]]) -> int:
    """How many tokens all conversations begin with, at least one less than the shortest has."""
    if len(conversations) < 2:
        return 0
    rows = [list(one) for one in conversations]
    first, last = min(rows), max(rows)
    most = min(map(len, rows)) - 1
    return next((i for i in range(most) if first[i] != last[i]), most)


class _State:
    """The cache of a batch and the mask of what it holds, (rows, tokens) int64; `forward` adds to both."""

    def __init__(self, decoder: Decoder, cache: Any, mask: Tensor) -> None:
        self._decoder, self._cache, self._mask = decoder, cache, mask
        self._taken = inspect.signature(decoder.model.forward).parameters

    def forward(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Run tokens, padded on the left, and return the logits behind the last, (rows, vocabulary) float32."""
        import torch

        from ....networks.transformers.importing import cache_keyword

        model, longest = self._decoder.model, max(map(len, rows))
        pad = [[0] * (longest - len(row)) for row in rows]
        ids = torch.tensor([[*p, *row] for p, row in zip(pad, rows, strict=True)], device=model.device)
        new = torch.tensor([[*p, *([1] * len(row))] for p, row in zip(pad, rows, strict=True)], device=model.device)
        before = self._mask.sum(1, keepdim=True)
        self._mask = torch.cat([self._mask, new], 1)
        places = (before + new.cumsum(1) - 1).clamp(min=0)
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": self._mask, "use_cache": True}
        given[cache_keyword()] = self._cache
        if "position_ids" in self._taken:
            given["position_ids"] = places.expand(3, -1, -1) if self._decoder.turns_in_three else places
        if "logits_to_keep" in self._taken:
            given["logits_to_keep"] = 1
        with torch.no_grad():
            return model(**given).logits[:, -1].float()

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        import torch

        if len(rows) < len(self._mask):
            index = torch.tensor(list(rows), device=self._mask.device)
            self._cache.batch_select_indices(index)
            self._mask = self._mask[index]

    def copies(self, count: int) -> _State:
        """So many rows of a state of one."""
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(count)
        return _State(self._decoder, cache, self._mask.expand(count, -1))


class _Part(NamedTuple):
    """A batch behind its prefill. rows: which conversations. logits: of the first token of each answer."""

    rows: list[int]
    logits: Tensor
    state: _State


def _prefills(decoder: Decoder, conversations: Sequence[Sequence[int]], batch: int) -> Iterator[_Part]:
    """Batches of conversations of about one length, each run to where its answers begin."""
    import torch

    from ....networks.transformers.importing import import_transformers

    if not all(len(one) for one in conversations):
        raise ValueError("expected conversations of at least one token, got an empty one")
    if batch < 1:
        raise ValueError(f"expected a batch of at least 1 conversation, got {batch}")
    cache = import_transformers().DynamicCache
    shared = shared_tokens(conversations)
    nothing = torch.ones((1, 0), dtype=torch.long, device=decoder.model.device)
    start = _State(decoder, cache(), nothing)
    if shared:
        start.forward([conversations[0][:shared]])
    order = sorted(range(len(conversations)), key=lambda index: len(conversations[index]))
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        state = start.copies(len(rows)) if shared else _State(decoder, cache(), nothing.expand(len(rows), -1))
        yield _Part(rows, state.forward([list(conversations[index][shared:]) for index in rows]), state)


def _ends(decoder: Decoder, tokenizer: Any) -> set[int]:
    """The tokens that end an answer."""
    configured = getattr(decoder.model.generation_config, "eos_token_id", None)
    several = configured if isinstance(configured, list | tuple) else [configured]
    return {int(end) for end in (*several, tokenizer.eos_token_id) if end is not None}


def _words(tokenizer: Any, tokens: Sequence[int]) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()
