"""LoRA on the language model: it learns to name pictures, to answer tasks, and to refuse by the rule over both."""

from __future__ import annotations

import copy
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from outrider.networks.transformers import Chat, Prompt

from .concepts import NAMING, Concept, Task, answer, in_words, name
from .model import pixels, soft_tokens
from .pictures import draw

RANK, RATE, BATCH = 16, 1e-3, 12
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NAMED_SHARE = 0.15  # of the examples name a picture
WORDS_SHARE = 0.25  # and this share puts the concept in words, for all tasks and concepts


class Example(NamedTuple):
    """A prompt with its picture, or without, and the answer to learn."""

    prompt: str
    picture: np.ndarray | None
    answer: str


class Lessons:
    """Draws examples. Left-out tasks and concepts are in words alone, but for naming pictures."""

    def __init__(
        self, tasks: Sequence[Task], concepts: Sequence[Concept], things: dict[str, np.ndarray], seed: int = 0
    ) -> None:
        self._tasks, self._concepts, self._things = tasks, concepts, things
        self._rng = np.random.default_rng(seed)

    def draw(self) -> Example:
        chance, concept, task = self._rng.random(), self._one(self._concepts), self._one(self._tasks)
        if chance < NAMED_SHARE:
            return Example(self._one(NAMING), self._picture(concept), name(concept))
        if chance < NAMED_SHARE + WORDS_SHARE or task.left_out or concept.left_out:
            return Example(in_words(concept, task.text), None, answer(task, concept))
        return Example(task.text, self._picture(concept), answer(task, concept))

    def _picture(self, concept: Concept) -> np.ndarray:
        return draw(self._one(self._things[concept.word]))

    def _one(self, things: Sequence[Any] | np.ndarray) -> Any:
        return things[int(self._rng.integers(len(things)))]


def tune(model: Any, processor: Any, lessons: Lessons, steps: int, folder: Path, seed: int = 0) -> None:
    """Learn adapters in bfloat16 over frozen weights, save them in the folder, and add them to the model's weights."""
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(seed)
    language = model.model.language_model
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=list(PROJECTIONS))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft 0.21 asks by that name
        adapted = get_peft_model(copy.deepcopy(language).to(torch.bfloat16), config).train()
    weights = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    words = model.get_output_embeddings().weight.detach().to(torch.bfloat16)
    began, losses = time.perf_counter(), []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 10) * (1 - step / steps)
        inputs, mask, places, targets = _batch(model, processor, [lessons.draw() for _ in range(BATCH)])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = adapted(inputs_embeds=inputs, attention_mask=mask, use_cache=False).last_hidden_state
            logits = functional.linear(hidden[places].to(torch.bfloat16), words).float()
        loss = functional.cross_entropy(logits, targets)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        losses.append(loss.item())
        if (step + 1) % 10 == 0:
            spent = time.perf_counter() - began
            print(f"LoRA: step {step + 1} of {steps}, loss {np.mean(losses[-10:]):.3f}, {spent:.0f} s", file=sys.stderr)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        model.model.language_model = PeftModel.from_pretrained(language, folder).merge_and_unload().eval()


def _batch(
    model: Any, processor: Any, examples: Sequence[Example]
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], Tensor]:
    """Embeddings (n, tokens, width) padded on the right, their mask, the places that predict answers, and those."""
    chat, tokenizer = Chat(processor), processor.tokenizer
    embed = model.get_input_embeddings()
    rows, places, targets = [], [], []
    for i, example in enumerate(examples):
        pictures = () if example.picture is None else (example.picture,)
        found = chat.encode([Prompt(example.prompt, pictures)])
        ids = found["input_ids"][0]
        said = tokenizer(example.answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        with torch.no_grad():
            row = embed(torch.cat([ids, torch.tensor(said)]))
            if example.picture is not None:
                place = torch.cat([ids == model.config.image_token_id, torch.zeros(len(said), dtype=torch.bool)])
                row[place] = soft_tokens(model, pixels([example.picture]))[0]
        rows.append(row)
        places += [(i, len(ids) + j - 1) for j in range(len(said))]
        targets += said
    mask = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, row in enumerate(rows):
        mask[i, : len(row)] = 1
    row_places, columns = torch.tensor(places).T
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask, (row_places, columns), torch.tensor(targets)
