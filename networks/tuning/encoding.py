"""Pairs as tokens with labels, and batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..transformers.prompts import Chat, Prompt, PromptError
from .losses import IGNORED
from .pairs import AnswerPair, shared_out

_PER_TOKEN = "input_ids", "attention_mask", "labels", "token_type_ids", "mm_token_type_ids"
_SIDES = "preferred", "dispreferred"


class PairExamples:
    """Pairs as a model's inputs: ``[i]`` is {"preferred": inputs} and, with `both`, "dispreferred".

    Inputs are the tokens of the prompt in the chat's template and of the answer, (tokens,) int64, with their mask and
    with labels that are -100 on the prompt; with pictures, what the processor makes of them, read anew at each use.
    context: the most tokens of prompt and answer. too_long: how many pairs were longer and left out. wrong: what is
    wrong with other pairs that were left out, by their index. Raises ValueError where none is left.
    """

    def __init__(
        self, pairs: Sequence[AnswerPair], chat: Chat, *, context: int | None = None, both: bool = True
    ) -> None:
        self._chat = Chat(chat.processor, chat.system)  # without its context: what is too long is counted here
        self._sides = _SIDES if both else _SIDES[:1]
        self.pairs: list[AnswerPair] = []
        self.too_long = 0
        self.wrong: list[str] = []
        known: dict[AnswerPair, dict[str, dict[str, Tensor]] | str | None] = {}
        self._encoded = known
        longest = 0
        for index, pair in enumerate(pairs):
            if pair not in known:
                known[pair] = self._tried(pair)
            found = known[pair]
            if isinstance(found, str):
                self.wrong.append(f"pair {index}: {found}")
                continue
            length = max(len(side["input_ids"]) for side in found.values()) if found else 0
            longest = max(longest, length)
            if context is not None and length > context:
                self.too_long += 1
                continue
            self.pairs.append(pair)
            if pair.images:
                known[pair] = {side: {"input_ids": found[side]["input_ids"]} for side in found} if found else None
        if not self.pairs:
            why = f"the longest has {longest:,} tokens" if self.too_long else (self.wrong or ["there are none"])[0]
            room = "" if context is None else f" of at most {context:,} tokens"
            raise ValueError(f"expected pairs{room}, got none of {len(pairs)}: {why}")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, dict[str, Tensor]]:
        pair = self.pairs[index]
        found = self._encode(pair) if pair.images else self._encoded[pair]
        assert isinstance(found, dict)  # noqa: S101 (what could not be encoded was left out)
        return found

    def share_out(self, unsafe_share: float) -> None:
        """Repeat pairs until the share of unsafe ones is as asked, see `shared_out`."""
        self.pairs = shared_out(self.pairs, unsafe_share)

    def collate(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Tensor]]:
        """Examples as one batch, padded on the right."""
        tokenizer = self._chat.tokenizer
        padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        return padded(examples, padding or 0)

    def _tried(self, pair: AnswerPair) -> dict[str, dict[str, Tensor]] | str:
        try:
            return self._encode(pair)
        except PromptError as error:
            return str(error)

    def _encode(self, pair: AnswerPair) -> dict[str, dict[str, Tensor]]:
        prompt = Prompt(pair.prompt, pair.images)
        asked = self._chat.encode([prompt])
        return {side: self._answered(prompt, asked, str(getattr(pair, side)), side) for side in self._sides}

    def _answered(self, prompt: Prompt, asked: dict[str, Tensor], answer: str, side: str) -> dict[str, Tensor]:
        if not answer.strip():
            raise PromptError(f"expected a {side} answer with words, got an empty one")
        text = self._chat.render_answer(prompt, answer)
        said = torch.tensor(self._chat.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.long)
        inputs = {}
        for name, value in asked.items():
            if name == "input_ids":
                inputs[name] = torch.cat([value[0], said])
            elif name in _PER_TOKEN:
                inputs[name] = pad(value[0], (0, len(said)), value=int(name == "attention_mask"))
            else:
                inputs[name] = value
        inputs["labels"] = torch.cat([torch.full_like(asked["input_ids"][0], IGNORED), said])
        return inputs


def padded(examples: Sequence[Mapping[str, Any]], padding: int = 0) -> dict[str, dict[str, Tensor]]:
    """Examples {side: {name: tensor}} as one batch, what has a value a token padded on the right.

    input_ids are padded with `padding`, labels with -100, the rest with 0; a mask is made where there is none. What has
    no value a token, such as pixels, is joined along its first axis.
    """
    batch = {}
    for side in examples[0]:
        rows = [dict(example[side]) for example in examples]
        for row in rows:
            row.setdefault("attention_mask", torch.ones_like(row["input_ids"]))
        longest = max(len(row["input_ids"]) for row in rows)
        fills = {"input_ids": padding, "labels": IGNORED}
        joined = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            if name in _PER_TOKEN:
                given = [row.get(name, torch.zeros_like(row["input_ids"])) for row in rows]
                fill = fills.get(name, 0)
                joined[name] = torch.stack([pad(one, (0, longest - len(one)), value=fill) for one in given])
            else:
                joined[name] = torch.cat([row[name] for row in rows if name in row])
        batch[side] = joined
    return batch
