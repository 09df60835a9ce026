"""`generate` with a guard: the prompt's one prefill is judged, then answered or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...monitor import Verdict
from .judging import OnFault
from .processors import GuardProcessor, Then
from .refusals import Refusals

if TYPE_CHECKING:
    from ...monitor.heads import Cascade, HeadGuard

_ONE_PASS = {
    "num_beams": "beams are scored together, and a refusal forced on them has no likelihood of its own",
    "prompt_lookup_num_tokens": "drafted tokens are judged several at a time",
    "prefill_chunk_size": "a prompt in chunks has no single prefill to read",
}
_EXPECTED = {"num_beams": 1, "prompt_lookup_num_tokens": None, "prefill_chunk_size": None}


@dataclass(frozen=True)
class GuardedAnswer:
    """What a guarded `generate` returned.

    output: as `generate` returned it: a tensor of token ids (rows, tokens), or its dict with
    ``return_dict_in_generate``. verdicts: one per prompt. refusals: the sentence that was forced, None where the model
    answered. prompt_length: tokens before the answer, padding included. judged_ns: when the verdicts were there, by the
    monotonic clock.
    """

    output: Any
    verdicts: list[Verdict]
    refusals: list[str | None]
    prompt_length: int
    judged_ns: int

    @property
    def sequences(self) -> Any:
        """Token ids with the prompt, (rows, tokens) int64, as `generate` returns them."""
        return getattr(self.output, "sequences", self.output)

    @property
    def answers(self) -> Any:
        """Token ids behind the prompt, (rows, tokens) int64."""
        return self.sequences[:, self.prompt_length :]

    @property
    def refused(self) -> list[bool]:
        """Whether each prompt was refused."""
        return [sentence is not None for sentence in self.refusals]


def guarded_generate(
    model: Any, inputs: Mapping[str, Any], guard: HeadGuard | Cascade, *, refusals: Refusals | None = None,
    prompts: Sequence[Any] | None = None, on_fault: OnFault = "refuse", then: Then = "stop", **generate_kwargs: Any,
) -> GuardedAnswer:  # fmt: skip
    """`model.generate(**inputs, **generate_kwargs)` with a guard inside it.

    The prompt's forward runs once. The guard reads it when the first token is asked for; from there on a flagged row
    gets the tokens of its refusal and then ends, and every other row gets the tokens of the bare model, also with
    sampling from the same seed. A streamer gets a refusal like any answer.

    model: the one that the guard was made for, or that model with adapters. inputs: as of `decoder.encode`, (batch,
    tokens), padded on either side; padding on the right is moved to the left, as `generate` wants it. refusals: how a
    refusal is worded. prompts: for the rules of `refusals`, and for a cascade whose second judge reads them; where left
    out, the rules read the decoded tokens, and with them the system prompt. on_fault: "refuse" a prompt that could not
    be judged, or "answer" it. then: "stop" ends a refusal; "model" lets the model go on behind it. generate_kwargs: of
    `generate`, a `logits_processor` and a `streamer` too. A guard that raises makes a FAULT of every prompt; what
    `generate` raises is raised.

    Raises ValueError for another model than the guard's, for beams, drafted tokens and chunked prefills, for a cache
    that is not plain or holds tokens already, for prompts of another number, and where a refusal has no token to end
    with.
    """
    from ...networks.transformers.importing import cache_keyword, import_transformers
    from ...networks.transformers.prompts import left_padded

    transformers = import_transformers()
    _check_model(model, guard)
    settings = {**inputs, **generate_kwargs}
    copies = _check_settings(model, settings)
    name = cache_keyword()
    given = [settings.pop(key) for key in ("cache", "past_key_values") if settings.get(key) is not None]
    if given and given[0].get_seq_length():
        raise ValueError(f"expected an empty cache, got one of {given[0].get_seq_length()} tokens; see `precheck`")
    settings = {key: value for key, value in settings.items() if key not in ("cache", "past_key_values")}
    if settings.get("attention_mask") is not None:
        settings |= left_padded({key: settings.pop(key) for key in (*inputs, "attention_mask") if key in settings})
    own = settings.pop("logits_processor", None) or []
    if prompts is not None:
        rows = len(next(iter(inputs.values())))
        if len(prompts) != rows:
            raise ValueError(f"expected a prompt for each of {rows} rows, got {len(prompts)}")
        prompts = [prompt for prompt in prompts for _ in range(copies)]
    with ExitStack() as hooks:
        watch = hooks.enter_context(guard.decoder.watching(**watching_for(guard)))
        processor = GuardProcessor(
            guard, watch, refusals=refusals, prompts=prompts, on_fault=on_fault, then=then,
            end=end_of(model, settings), judged=hooks.close,
        )  # fmt: skip
        settings[name] = given[0] if given else transformers.DynamicCache()
        output = model.generate(**settings, logits_processor=[*own, processor])
    if processor.verdicts is None:
        raise ValueError("expected `generate` to ask for at least one token, got none; raise max_new_tokens")
    return GuardedAnswer(
        output, processor.verdicts[::copies], processor.refusals[::copies], processor.prompt_length, processor.judged_ns
    )


def watching_for(guard: HeadGuard | Cascade) -> dict[str, Any]:
    """The arguments of `decoder.watching` and `decoder.prefill` that the guard's statistic needs."""
    return {} if guard.keep is None else {"keep": guard.keep}


def end_of(model: Any, settings: Mapping[str, Any]) -> int | None:
    """The token that ends an answer: as given to `generate`, else the model's own; None where there is none."""
    config = settings.get("generation_config") or model.generation_config
    for end in (settings.get("eos_token_id"), config.eos_token_id, model.generation_config.eos_token_id):
        if end is not None:
            ends = end.reshape(-1).tolist() if hasattr(end, "reshape") else end
            return int(ends[0] if isinstance(ends, list | tuple) else ends)
    return None


def _check_model(model: Any, guard: HeadGuard | Cascade) -> None:
    """Raise ValueError for another model than the guard's; one with adapters counts as its own."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if base is not guard.decoder.model:
        raise ValueError(
            f"expected the model that the guard reads ({guard.decoder.name}), got another {type(base).__name__}; give"
            " guard.decoder.model"
        )


def _check_settings(model: Any, settings: Mapping[str, Any]) -> int:
    """How many answers each prompt gets. Raises ValueError for a way of generating that no guard can be put into."""
    config = settings.get("generation_config") or model.generation_config
    said = {name: settings.get(name, getattr(config, name, None)) for name in (*_EXPECTED, "cache_implementation")}
    for name, why in _ONE_PASS.items():
        if said[name] not in (None, _EXPECTED[name]):
            raise ValueError(f"expected {name}={_EXPECTED[name]}, got {said[name]}: {why}")
    if settings.get("assistant_model") is not None:
        raise ValueError("expected no assistant_model, got one: drafted tokens are judged several at a time")
    if said["cache_implementation"] not in (None, "hybrid") or settings.get("use_cache") is False:
        got = f"cache_implementation={said['cache_implementation']!r}"
        got = "use_cache=False" if settings.get("use_cache") is False else got
        raise ValueError(f"expected the plain cache, which holds every position of the prompt, got {got}; leave it out")
    copies = settings.get("num_return_sequences", getattr(config, "num_return_sequences", None))
    return int(copies or 1)
