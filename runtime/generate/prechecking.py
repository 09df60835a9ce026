"""Verdicts before `generate`, with the cache of the pass that gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...monitor import Verdict
from .generating import end_of, watching_for
from .judging import OnFault, judge_prefill, sentences, verdicts_or_faults
from .processors import RefusalPrefix, Then, end_token, tokenizer_of, tokens_of
from .refusals import Refusals

if TYPE_CHECKING:
    from ...monitor.heads import Cascade, HeadGuard

_PICTURES = "pixel_values", "pixel_values_videos", "pixel_attention_mask", "image_sizes", "pixel_position_ids"


class Precheck(NamedTuple):
    """verdicts: one per prompt. generate_kwargs: the inputs of `generate`, with the cache of the prompts."""

    verdicts: list[Verdict]
    generate_kwargs: dict[str, Any]


def precheck(guard: HeadGuard | Cascade, inputs: Mapping[str, Any], prompts: Sequence[Any] | None = None) -> Precheck:
    """Judge prompts before `generate`, and hand the work on: ``model.generate(**kwargs, ...)`` runs no second prefill.

    inputs: as of `decoder.encode`, (batch, tokens), padded on either side; they come back padded on the left. prompts:
    for a cascade whose second judge reads them. The cache comes without the last position, which `generate` runs anew,
    alone, to have the logits of the first token; these equal those of a whole prefill to within rounding. Pictures are
    left out, as the cache holds what they became. `generate` adds to the cache, so it serves once. A guard that raises
    makes a FAULT of every prompt; what the model raises is raised.
    """
    from ...networks.transformers.importing import cache_keyword

    prefill = guard.decoder.prefill(inputs, **watching_for(guard))
    count = len(prefill.lengths)
    verdicts = verdicts_or_faults(lambda: judge_prefill(guard, prefill, prompts), count)
    left_out = _PICTURES if guard.decoder.turns_in_three else (*_PICTURES, "position_ids")
    kwargs = {name: value for name, value in prefill.inputs.items() if name not in left_out}
    prefill.cache.crop(-1)
    return Precheck(verdicts, kwargs | {cache_keyword(): prefill.cache})


def refusal_prefix(
    guard: HeadGuard | Cascade, verdicts: Sequence[Verdict], prompts: Sequence[Any] | None = None, *,
    refusals: Refusals | None = None, on_fault: OnFault = "refuse", then: Then = "stop", end: int | None = None,
) -> RefusalPrefix:  # fmt: skip
    """The logits processor that refuses the flagged prompts of a batch, for one call of `generate`.

    verdicts: of `precheck` or ``guard.check``, a row of the batch each. prompts: for the rules of `refusals`. end: the
    token that ends a refusal, by default the model's own. Raises ValueError where there is none.
    """
    texts = [""] * len(verdicts) if prompts is None else prompts
    said = sentences(verdicts, texts, refusals or Refusals(), on_fault)
    tokenizer = tokenizer_of(guard.decoder.processor)
    model_end = end_of(guard.decoder.model, {}) if end is None else end
    return RefusalPrefix([tokens_of(tokenizer, sentence) for sentence in said], end_token(then, model_end))
