"""Tune a chat model on answers, or on pairs of answers: the data, batches and losses are trl's, the run is `train`'s.

trl's SFTTrainer and DPOTrainer make the batches and compute the loss. Their own loop keeps checkpoints as pickles and
does not stop at a loss that is no number, so `train` runs the steps: it resumes, checks and writes safetensors.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn import functional

from ..packages import require
from ..transformers.importing import import_transformers
from ..transformers.prompts import Chat, Prompt
from .schedule import Schedule
from .training import Trained, train

IGNORED = -100
_BENT = "final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling"


@dataclass(frozen=True)
class Tokenised:
    """Examples as trl takes them, and how many were too long for the model's context and left out."""

    rows: list[dict[str, list[int]]]
    left_out: int = 0


def supervise(
    model: Any,
    processor: Any,
    lessons: Sequence[Any],
    schedule: Schedule,
    folder: str | Path,
    *,
    system: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    device: str | None = None,
    keep: Mapping[str, Any] | None = None,
) -> Trained:
    """Tune a model on the answers of lessons by trl's SFTTrainer; the loss is on the tokens of the answers alone.

    model: a causal model of transformers, or one with adapters of peft. processor: its tokenizer, with a chat template.
    lessons: with ``prompt``, ``answer`` and ``whole``, see `TaughtAnswer`; an answer that is not whole is not tuned to
    end. system: the system prompt, None for what the template has. progress, device, keep, and the folder: those of
    `train`, whose errors it raises. Raises ValueError for a tokenizer without a chat template, and where no lesson fits
    into the model's context; ImportError without trl.
    """
    given = tokenised(model, processor, lessons, system)
    facts = {"method": "trl SFT", "left_out": given.left_out, **(keep or {})}
    trl = _trl()

    def trainer(arguments: dict[str, Any], tokenizer: Any) -> Any:
        config = trl.SFTConfig(**arguments, max_length=None, packing=False, shuffle_dataset=False)
        return trl.SFTTrainer(model=model, args=config, train_dataset=_dataset(given.rows), processing_class=tokenizer)

    return _run(model, processor, trainer, schedule, folder, progress, device, facts)


def prefer(
    model: Any,
    reference: Any,
    processor: Any,
    pairs: Sequence[Any],
    schedule: Schedule,
    folder: str | Path,
    *,
    beta: float = 0.1,
    system: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    device: str | None = None,
    keep: Mapping[str, Any] | None = None,
) -> Trained:
    """Tune a model to prefer one answer to another by trl's DPOTrainer, against a reference model.

    reference: another object than `model`, with the weights that it starts from; it is not changed. pairs: with
    ``prompt``, ``preferred`` and ``dispreferred`` (see `AnswerPair`). beta: of Rafailov et al. (NeurIPS 2023, arXiv
    2305.18290). The rest is as with `supervise`.
    """
    if reference is None or reference is model:
        raise ValueError("expected a reference model of its own, such as a copy of the model, got the model or none")
    if not beta > 0:
        raise ValueError(f"expected a beta above 0, got {beta!r}")
    chat = Chat(processor, system)
    if not pairs:
        raise ValueError("expected at least one pair, got none")
    fitting = [pair for pair in pairs if _fits(model, chat, pair.prompt, (pair.preferred, pair.dispreferred))]
    if not fitting:
        raise ValueError(f"expected pairs of at most {_context(model):,} tokens, got none of {len(pairs)}")
    told = [] if system is None else [{"role": "system", "content": system}]
    rows = [
        {
            "prompt": [*told, {"role": "user", "content": pair.prompt}],
            "chosen": [{"role": "assistant", "content": pair.preferred}],
            "rejected": [{"role": "assistant", "content": pair.dispreferred}],
        }
        for pair in fitting
    ]
    facts = {"method": "trl DPO", "beta": beta, "left_out": len(pairs) - len(fitting), **(keep or {})}
    trl = _trl()
    reference.requires_grad_(requires_grad=False).eval()
    if device is not None:
        reference.to(device)

    def trainer(arguments: dict[str, Any], tokenizer: Any) -> Any:
        config = trl.DPOConfig(**arguments, beta=beta, max_length=None)
        return trl.DPOTrainer(
            model=model, ref_model=reference, args=config, train_dataset=_dataset(rows), processing_class=tokenizer
        )

    with _forward_kept(reference):
        return _run(model, processor, trainer, schedule, folder, progress, device, facts)


def tokenised(model: Any, processor: Any, lessons: Sequence[Any], system: str | None = None) -> Tokenised:
    """Lessons as ``input_ids`` and ``labels``, −100 where no loss is taken: at every token of the prompt.

    A whole answer ends with the tokenizer's end token. Raises ValueError for no lessons, for a tokenizer without a chat
    template, and where none fits into the model's context.
    """
    if not lessons:
        raise ValueError("expected at least one lesson, got none")
    chat = Chat(processor, system)
    tokenizer, longest, rows = chat.tokenizer, _context(model), []
    end = [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]
    for lesson in lessons:
        prompt, answer = _tokens(tokenizer, chat.render(Prompt(lesson.prompt))), _tokens(tokenizer, lesson.answer)
        answer += end if lesson.whole else []
        if answer and (longest is None or len(prompt) + len(answer) <= longest):
            rows.append({"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer})
    if not rows:
        raise ValueError(f"expected lessons of at most {longest:,} tokens, got none of {len(lessons)}")
    return Tokenised(rows, len(lessons) - len(rows))


def _run(
    model: Any,
    processor: Any,
    trainer: Callable[[dict[str, Any], Any], Any],
    schedule: Schedule,
    folder: str | Path,
    progress: Callable[[int, int], None] | None,
    device: str | None,
    facts: dict[str, Any],
) -> Trained:
    """Make a trainer of trl, and run its loss on its batches by `train`. trl writes nothing: its folder is not kept."""
    tokenizer = getattr(processor, "tokenizer", processor)
    with tempfile.TemporaryDirectory() as nowhere, _forward_kept(model):
        arguments = {
            "output_dir": nowhere,
            "use_cpu": device in (None, "cpu"),
            "per_device_train_batch_size": schedule.batch,
            "bf16": False,  # `train` casts, by the schedule's precision
            "gradient_checkpointing": False,
            "save_strategy": "no",
            "logging_strategy": "no",
            "report_to": [],
            "disable_tqdm": True,
            "remove_unused_columns": False,
            "seed": schedule.seed % 2**32,
        }
        with _quiet(), torch.random.fork_rng():
            made = trainer(arguments, tokenizer)
        if arguments["use_cpu"]:
            _plain_head(model)

        def loss(given: Any, batch: Any) -> Any:
            place = next(given.parameters()).device
            moved = {name: one.to(place) if isinstance(one, torch.Tensor) else one for name, one in batch.items()}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # trl asks transformers under old names
                found = made.compute_loss(given, moved)
            for curve in made._metrics.values():  # noqa: SLF001 (they grow by every step, and nobody reads them)
                curve.clear()
            return found

        return train(
            model, made.train_dataset, loss, schedule, folder,
            collate=made.data_collator, progress=progress, device=device, keep=facts,
        )  # fmt: skip


def _trl() -> Any:
    """trl, after transformers: a torchvision that cannot load would take trl with it."""
    import_transformers()
    require("datasets", "tuning a chat model needs datasets", "lab")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return require("trl", "tuning a chat model needs trl", "lab")


def _dataset(rows: list[dict[str, Any]]) -> Any:
    return require("datasets", "tuning a chat model needs datasets", "lab").Dataset.from_list(rows)


@contextmanager
def _quiet() -> Iterator[None]:
    """In its block, datasets shows no bars and trl's hints on deprecated things are no warnings."""
    datasets = require("datasets", "tuning a chat model needs datasets", "lab")
    shown = datasets.utils.logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _plain_head(model: Any) -> None:
    """Give the losses of trl the log-probabilities of the labels by plain operations, at the labels' positions alone.

    trl computes them in tiles, in float32 and twice, which saves memory on a GPU and takes 60 % of a step on a CPU. The
    sum is the same. What its unread curves are made of is left at zero. A model that bends its logits keeps trl's way.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if any(getattr(base.config.get_text_config(), name, None) is not None for name in _BENT):
        return
    other = base.forward

    def forward(*args: Any, fused_lm_head: bool = False, labels: Any = None, **more: Any) -> Any:
        if not fused_lm_head:
            return other(*args, **more, **({} if labels is None else {"labels": labels}))
        states = base.base_model(*args, **{**more, "use_cache": False}).last_hidden_state[:, :-1]
        mask = labels[:, 1:] != IGNORED
        logits = base.get_output_embeddings()(states[mask]).float()
        found = torch.zeros(mask.shape, device=states.device)
        found[mask] = -functional.cross_entropy(logits, labels[:, 1:][mask], reduction="none")
        nothing = torch.zeros_like(found)
        return SimpleNamespace(
            log_probs=found, label_mask=mask, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool()
        )

    base.forward = forward


@contextmanager
def _forward_kept(model: Any) -> Iterator[None]:
    """After its block, a model's forward is its own again: trl puts one in its place that computes fewer logits."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = base.__dict__.get("forward")
    try:
        yield
    finally:
        base.__dict__.pop("forward", None)
        if before is not None:
            base.forward = before


def _fits(model: Any, chat: Chat, prompt: str, answers: Sequence[str]) -> bool:
    longest = _context(model)
    if longest is None:
        return True
    asked = Prompt(prompt)
    whole = (chat.render(asked) + chat.render_answer(asked, answer) for answer in answers)
    return all(len(_tokens(chat.tokenizer, text)) <= longest for text in whole)


def _context(model: Any) -> int | None:
    longest = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return None if longest is None else int(longest)


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
