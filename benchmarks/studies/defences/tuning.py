"""Tuned variants of one base: SSFT, DPO and unlearning (Jain et al., 2024), and reasons before refusals (SafeCoT).

All share prompts, steps, rate and adapters. A safe prompt's preferred answer is the beginning of the base's own; an
unsafe one's is a refusal, for SafeCoT behind its reason. What is not preferred is a refusal, or a sentence that agrees
to help and goes no further: no unsafe answer is written anywhere.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from outrider.networks.transformers import Decoder
from outrider.networks.tuning import merged, padded, preference, supervised, train, unlearning, with_adapters
from outrider.networks.tuning.chat import tokenised
from outrider.networks.tuning.reasons import TaughtAnswer, training_set

from ..reasons.prompts import Prompts, drawn
from ..reasons.remembering import LowerLayers
from ..reasons.tuning import Setting, own_answers, plain

COMPLIANCE = "Sure, I can help with that. Here is what you need to do."
REFUSAL = "I cannot help with that."
METHODS: dict[str, Callable[..., Any]] = {
    "SSFT": supervised,
    "DPO": partial(preference, reference=None, beta_preferred=0.1, beta_dispreferred=0.01),
    "unlearning": partial(unlearning, weight=0.1),
    "SafeCoT": supervised,
}
Progress = Callable[[int, int], None]
Example = dict[str, dict[str, torch.Tensor]]


class Variants:
    """Tunes copies of a base, each once: afterwards its adapters lie in `folder` and are read from there.

    number: of examples. The base is left as it was.
    """

    def __init__(
        self, base: Decoder, pools: Prompts, number: int, setting: Setting, folder: Path, device: str = "cpu"
    ) -> None:
        self.base, self.pools, self.number, self.setting, self.folder = base, pools, number, setting, folder
        self.device = device
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = getattr(base.processor, "tokenizer", base.processor)
        self._padding = int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
        self._lower = LowerLayers(base.model, setting.below, self._padding) if setting.below else None

    def opened(self, method: str, seed: int, progress: Progress | None = None) -> Decoder:
        """A variant in bfloat16, tuned now or before."""
        examples = self.examples(method, seed)
        if self._lower is not None:
            self._lower.learn([side["input_ids"].tolist() for one in examples for side in one.values()])
        adapted = with_adapters(self.base.model, self.setting.rank, seed=seed)
        try:
            for name, weight in adapted.named_parameters():
                weight.requires_grad_("lora_" in name and layer_of(name) >= self.setting.below)
            with nullcontext() if self._lower is None else self._lower.remembered():
                train(
                    adapted.train(), examples, METHODS[method], self.setting.schedule(seed),
                    self.folder / f"{method}-{seed}", collate=partial(padded, padding=self._padding),
                    progress=progress, device=self.device, keep={"method": method, "below": self.setting.below},
                )  # fmt: skip
            return Decoder(plain(merged(copy.deepcopy(adapted))), self.base.processor)
        finally:
            adapted.unload()
            self.base.model.eval()

    def examples(self, method: str, seed: int) -> list[Example]:
        """What a variant is tuned on: both sides, or for supervised methods the preferred one alone."""
        requests = drawn(self.pools, self.number, seed)
        safe = [request.prompt for request in requests if not request.unsafe]
        own = own_answers(self.base, safe, self.folder / "own.json")
        kind = "reasons" if method == "SafeCoT" else "plain"
        preferred = training_set(requests, kind=kind, own=own).lessons
        sides = {"preferred": self._tokens(preferred)}
        if METHODS[method] is not supervised:
            sides["dispreferred"] = self._tokens(
                [TaughtAnswer(one.prompt, COMPLIANCE if one.unsafe else REFUSAL, one.unsafe) for one in preferred]
            )
        return [dict(zip(sides, rows, strict=True)) for rows in zip(*sides.values(), strict=True)]

    def _tokens(self, lessons: Sequence[TaughtAnswer]) -> list[dict[str, torch.Tensor]]:
        found = tokenised(self.base.model, self.base.processor, lessons)
        if found.left_out:
            raise ValueError(f"expected prompts that fit into the model's context, got {found.left_out} longer ones")
        return [{name: torch.tensor(values) for name, values in row.items()} for row in found.rows]


def layer_of(name: str) -> int:
    """The number of the layer that a parameter belongs to."""
    return next(int(part) for part in name.split(".") if part.isdigit())
