"""Logits processors for `generate`: one forces a refusal, one judges the prompt's own prefill first.

They are plain callables, which is all that transformers asks of a logits processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ...monitor import Verdict
from ...monitor.attributes import strict
from .judging import OnFault, judge_prefill, sentences, verdicts_or_faults
from .refusals import Refusals

if TYPE_CHECKING:
    import torch

    from ...monitor.heads import Cascade, HeadGuard

Then = Literal["stop", "model"]
_NO_END = (
    "expected an end-of-sequence token to end a refusal with, got none;"
    ' give eos_token_id=, or then="model" to let the model go on behind the refusal'
)


@strict
class RefusalPrefix:
    """Forces an answer to begin with given tokens, row by row; a new one for each call of `generate`.

    prefixes: per row of the batch the token ids of its refusal, None for a row that is answered. end: the token forced
    behind the prefix; None lets the model go on there. Scores of rows that are answered are not touched at all.
    Raises ValueError for rows of another number, and in a second call of `generate`.
    """

    def __init__(self, prefixes: Sequence[Sequence[int] | None], end: int | None) -> None:
        self.prefixes = [None if prefix is None else list(prefix) for prefix in prefixes]
        self._end = [] if end is None else [end]
        self._prompt: torch.Tensor | None = None
        self._step = -1

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: (rows, vocabulary), with all but one token of a forced row at -inf, in a copy."""
        if len(self.prefixes) != len(scores):
            raise ValueError(f"expected {len(self.prefixes)} rows as there are prefixes, got {len(scores)}")
        if self._prompt is None:
            self._prompt = input_ids.clone()
        self._step += 1
        step, length = self._step, self._prompt.shape[1]
        if input_ids.shape[1] != length + step or not bool((input_ids[:, :length] == self._prompt).all()):
            raise ValueError("expected one call of `generate`, got a second one; make a new logits processor for each")
        forced = {row: token for row, prefix in enumerate(self.prefixes) if (token := self._token(prefix, step)) >= 0}
        if not forced:
            return scores
        scores = scores.clone()
        for row, token in forced.items():
            scores[row] = -float("inf")
            scores[row, token] = 0
        return scores

    def _token(self, prefix: list[int] | None, step: int) -> int:
        """The token forced at a step; -1 for none."""
        if prefix is None:
            return -1
        if step < len(prefix):
            return prefix[step]
        return self._end[0] if self._end else -1


@strict
class GuardProcessor:
    """Judges the prompts when the first token is asked for, then forces a refusal on the rows that were flagged.

    guard: a calibrated HeadGuard or Cascade. watch: what ``with decoder.watching() as watch:`` gives around the same
    `generate`, so that the guard reads the prefill that the answer is made of. prompts: one per row, for the rules of
    `refusals` and a second judge that reads them; where left out, the rules read the decoded tokens. on_fault:
    "refuse", or "answer" prompts that could not be judged. then: "stop" ends a refusal with the token `end`, "model"
    lets the model go on behind it. judged: called once the verdicts are there, before the first token is chosen.

    Processor and watch serve one call of `generate`. A guard that raises makes a FAULT of every prompt, and so does a
    watch that saw other tokens than those that are answered. After the first token these are set: `verdicts`,
    `refusals` (sentences, None where answered), `judged_ns` (by the monotonic clock) and `prompt_length` (tokens with
    padding).
    Raises ValueError where `then` is "stop" and `end` None.
    """

    def __init__(
        self, guard: HeadGuard | Cascade, watch: Any, *, refusals: Refusals | None = None,
        prompts: Sequence[Any] | None = None, on_fault: OnFault = "refuse", then: Then = "stop", end: int | None = None,
        judged: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        self._guard, self._watch, self._rules, self._judged = guard, watch, refusals or Refusals(), judged
        self._prompts, self._on_fault = prompts, on_fault
        self._end = end_token(then, end)
        self.verdicts: list[Verdict] | None = None
        self.refusals: list[str | None] = []
        self.judged_ns = 0
        self.prompt_length = 0
        self._prefix: RefusalPrefix | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See `RefusalPrefix`."""
        if self._prefix is None:
            self._prefix = self._judge(input_ids, len(scores))
        return self._prefix(input_ids, scores)

    def _judge(self, input_ids: torch.Tensor, count: int) -> RefusalPrefix:
        verdicts = verdicts_or_faults(lambda: self._judge_prefill(input_ids), count)
        if self._judged is not None:
            self._judged()
        self.judged_ns = time.monotonic_ns()
        self.prompt_length = input_ids.shape[1]
        tokenizer = tokenizer_of(self._guard.decoder.processor)
        prompts = self._prompts
        if prompts is None:
            prompts = tokenizer.batch_decode(input_ids, skip_special_tokens=True)
        self.refusals = sentences(verdicts, prompts, self._rules, self._on_fault)
        self.verdicts = verdicts
        return RefusalPrefix([tokens_of(tokenizer, sentence) for sentence in self.refusals], self._end)

    def _judge_prefill(self, input_ids: torch.Tensor) -> list[Verdict]:
        prefill = self._watch.prefill
        if prefill is None:
            raise RuntimeError(
                "the prompt's forward was not seen; call `generate` inside of `watching()`, in the same thread"
            )
        seen = prefill.inputs.get("input_ids")
        if (
            seen is not None
            and input_ids.shape[1]
            and not (seen.shape == input_ids.shape and bool((seen == input_ids).all()))
        ):
            raise RuntimeError("the watch saw another prompt; begin `watching()` anew for each `generate`")
        return judge_prefill(self._guard, prefill, self._prompts)


def end_token(then: Then, end: int | None) -> int | None:
    """The token forced behind a refusal, or None. Raises ValueError for another word, and where a token is missing."""
    if then not in ("stop", "model"):
        raise ValueError(f'expected then="stop" or "model", got {then!r}')
    if then == "stop" and end is None:
        raise ValueError(_NO_END)
    return end if then == "stop" else None


def tokenizer_of(processor: Any) -> Any:
    """The tokenizer of a vision-language model's processor, or what was given."""
    return getattr(processor, "tokenizer", processor)


def tokens_of(tokenizer: Any, sentence: str | None) -> list[int] | None:
    """The token ids of a sentence without special tokens; None for None."""
    return None if sentence is None else list(tokenizer(sentence, add_special_tokens=False)["input_ids"])
