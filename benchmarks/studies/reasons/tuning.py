"""One tuning of the study: lessons in, a tuned model out."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from outrider.networks.transformers import Decoder
from outrider.networks.tuning import Schedule, merged, supervise, tokenised, with_adapters
from outrider.networks.tuning.reasons import TaughtAnswer, Written, written

from .remembering import LowerLayers

OWN = 12  # tokens of the model's own answer to a safe prompt


@dataclass(frozen=True)
class Setting:
    """How a model is tuned: adapters of a rank on the layers from `below` on. Both kinds of supervision share it."""

    steps: int
    batch: int
    rate: float
    rank: int = 16
    below: int = 0

    def schedule(self, seed: int) -> Schedule:
        return Schedule(
            self.steps, self.batch, self.rate, weight_decay=0.0, betas=(0.9, 0.999), seed=seed, save_every=1000,
            precision="bfloat16",
        )  # fmt: skip


class Tuner:
    """Tunes one base model again and again, and leaves it as it was. Its lower layers run once for each text."""

    def __init__(self, base: Decoder, setting: Setting, device: str = "cpu") -> None:
        self.base, self.setting, self.device = base, setting, device
        tokenizer = getattr(base.processor, "tokenizer", base.processor)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.lower = LowerLayers(base.model, setting.below, tokenizer.pad_token_id) if setting.below else None

    @contextmanager
    def tuned(
        self,
        lessons: Sequence[TaughtAnswer],
        seed: int,
        folder: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Decoder]:
        """A bfloat16 copy of the base, tuned on the lessons. folder: of the run, which goes on if it was cut off."""
        below = self.setting.below
        if self.lower is not None:
            self.lower.learn(
                [row["input_ids"] for row in tokenised(self.base.model, self.base.processor, lessons).rows]
            )
        adapted = with_adapters(self.base.model, self.setting.rank, seed=seed)
        try:
            for name, weight in adapted.named_parameters():
                weight.requires_grad_("lora_" in name and _layer(name) >= below)
            with self.lower.remembered() if self.lower is not None else nullcontext():
                supervise(
                    adapted.train(), self.base.processor, lessons, self.setting.schedule(seed), folder,
                    progress=progress, device=self.device,
                )  # fmt: skip
            yield Decoder(plain(merged(copy.deepcopy(adapted))), self.base.processor)
        finally:
            adapted.unload()
            self.base.model.eval()
        shutil.rmtree(folder, ignore_errors=True)


def plain(model: Any) -> Any:
    """The model in bfloat16, to answer with."""
    return model.to(torch.bfloat16).eval()


def own_answers(
    base: Decoder, prompts: Sequence[str], file: Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, Written]:
    """The first tokens of the base's own answers to safe prompts, from the file where it has them."""
    stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in stored]
    if missing:
        model = Decoder(plain(copy.deepcopy(base.model)), base.processor)
        stored |= dict(zip(missing, written(model, missing, OWN, progress=progress), strict=True))
        new = file.with_suffix(".new")
        new.write_text(json.dumps(stored), encoding="utf-8")
        new.replace(file)
    return {prompt: Written(*stored[prompt]) for prompt in prompts}


def _layer(name: str) -> int:
    """The number of the layer that a parameter belongs to."""
    return next(int(part) for part in name.split(".") if part.isdigit())
