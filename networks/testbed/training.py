"""Pretrain a model on the testbed's language, and tune it to be safe, after Jain et al. (NeurIPS 2024).

Examples are numbers: a batch of them is drawn from the language by the first one, so nothing is stored, no batch comes
twice, and a run that was cut off draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..tuning.losses import frozen_copy, preference, supervised, unlearning
from ..tuning.schedule import Schedule
from ..tuning.training import Trained, train
from .grammar import LONGEST
from .language import TEXT_AT, Language
from .model import new_model, open_model
from .sequences import IGNORED, Sequences, joined

METHODS = ("ssft", "dpo", "unlearning")
UNSAFE_SHARES = {"ssft": 0.2, "dpo": 0.5, "unlearning": 0.5}  # the paper's, of a batch
SINGLE = "single"  # the folder of the first stage

Progress = Callable[[int, int], None]


def pretrain(
    language: Language, folder: str | Path, schedule: Schedule, *, single: float = 0.5, text_weight: float = 0.2,
    model: Any = None, progress: Progress | None = None, device: str | None = None,
) -> Trained:  # fmt: skip
    """Teach a model the language; ``AutoModelForCausalLM.from_pretrained(folder)`` opens it.

    single: the share of the steps in which tasks stand alone, at the full rate; compositions follow, with the cosine.
    That is ours: without it the paper's size needs many times as many sequences, and so it does if compositions begin
    before single tasks are learnt. text_weight: of the loss on the
    text's letters, against 1 on the outputs'. model: an untrained one, `new_model` by default.
    Raises ValueError for a share outside 0 to below 1, and as `train` does.
    """
    if not 0 <= single < 1:
        raise ValueError(f"expected a share of single tasks from 0 to below 1, got {single}")
    folder = Path(folder)
    model = new_model(schedule.seed) if model is None else model
    loss = partial(language_loss, text_weight=text_weight)
    first = round(single * schedule.steps)
    before = None
    if first:
        warm = min(1.0, schedule.warmup * schedule.steps / first)
        early = replace(schedule, steps=first, floor=schedule.rate, warmup=warm)
        draws = _Draws(language, "single", early, 0)
        told = None if progress is None else partial(_ahead, progress, 0, schedule.steps)
        how: dict[str, Any] = {"collate": draws.for_pretraining, "progress": told, "device": device}
        before = train(model, draws, loss, early, folder / SINGLE, keep=language.facts, **how)
    late = replace(schedule, steps=schedule.steps - first, warmup=0.0 if first else schedule.warmup)
    draws = _Draws(language, "any", late, 1)
    told = None if progress is None else partial(_ahead, progress, first, schedule.steps)
    how = {"collate": draws.for_pretraining, "progress": told, "device": device}
    trained = train(model, draws, loss, late, folder, keep=language.facts, **how)
    language.save(folder)
    if before is None:
        return trained
    return replace(
        trained, losses=before.losses + trained.losses, seconds=before.seconds + trained.seconds,
        parts={name: before.parts[name] + trained.parts[name] for name in trained.parts},
    )  # fmt: skip


def make_safe(
    base: str | Path, folder: str | Path, method: str, schedule: Schedule, *, progress: Progress | None = None,
    device: str | None = None,
) -> Trained:  # fmt: skip
    """Tune a pretrained model by "ssft", "dpo" or "unlearning" to refuse what its language says is unsafe.

    A batch holds the paper's share of unsafe sequences. Raises ValueError for another method, and as `train` does.
    """
    if method not in METHODS:
        raise ValueError(f"expected a method among {', '.join(METHODS)}, got {method!r}")
    language = Language.load(base)
    model = open_model(base)
    draws = _Draws(language, method, schedule, 2)
    loss: Any = {"ssft": supervised, "unlearning": unlearning}.get(method)
    if loss is None:
        loss = partial(preference, reference=frozen_copy(model))
    keep = language.facts | {"method": method}
    how: dict[str, Any] = {"progress": progress, "device": device, "keep": keep}
    trained = train(model, draws, loss, schedule, folder, collate=draws.for_tuning, **how)
    language.save(folder)
    return trained


def language_loss(model: Any, batch: dict[str, Tensor], *, text_weight: float) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the outputs' letters, and a part of that of the text's."""
    logits = model(input_ids=batch["input_ids"], use_cache=False).logits[:, :-1].float().transpose(1, 2)
    output, text = (
        cross_entropy(logits, batch[name][:, 1:], ignore_index=IGNORED) for name in ("labels", "text_labels")
    )
    return output + text_weight * text, {"output": output.item(), "text": text.item()}


class _Draws:
    """Numbers as examples, and the batches that are drawn for them."""

    def __init__(self, language: Language, what: str, schedule: Schedule, use: int) -> None:
        self.language, self.what, self.use, self.seed = language, what, use, schedule.seed
        self.length = schedule.steps * schedule.batch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> int:
        return number

    def for_pretraining(self, numbers: list[int]) -> dict[str, Tensor]:
        drawn = self.language.draw(self.what, len(numbers), self._rng(numbers))
        text = np.full_like(drawn.tokens, IGNORED)
        field = slice(TEXT_AT, TEXT_AT + LONGEST)
        text[:, field] = np.where(drawn.mask[:, field], drawn.tokens[:, field], IGNORED)
        found = {"input_ids": drawn.tokens, "labels": drawn.answers, "text_labels": text}
        return {name: torch.from_numpy(array) for name, array in found.items()}

    def for_tuning(self, numbers: list[int]) -> dict[str, dict[str, Tensor]]:
        rng = self._rng(numbers)
        unsafe = round(len(numbers) * UNSAFE_SHARES[self.what])
        parts = [self.language.draw("unsafe", unsafe, rng), self.language.draw("safe", len(numbers) - unsafe, rng)]
        both = joined(parts)
        return {"preferred": inputs(both, both.preferred), "dispreferred": inputs(both, both.dispreferred)}

    def _rng(self, numbers: list[int]) -> np.random.Generator:
        return self.language.rng("train", self.seed, self.use, numbers[0])


def inputs(sequences: Sequences, labels: NDArray[np.int64]) -> dict[str, Tensor]:
    """What a model is given so that it says these labels: input_ids and labels, (n, L) int64."""
    return {"input_ids": torch.from_numpy(sequences.spoken(labels)), "labels": torch.from_numpy(labels)}


def _ahead(progress: Progress, before: int, total: int, done: int, _stage: int) -> None:
    progress(before + done, total)
