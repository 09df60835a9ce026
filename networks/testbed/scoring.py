"""What a model does with sequences: refuses them wholly, answers them rightly, and how many letters are right.

Outputs are forced: each letter is predicted behind the wanted letters before it. That a whole output is right is then
the same as that greedy decoding, given the marks and blanks, writes it, since the first letter that differed would show
in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .language import OUTPUT_AT
from .sequences import IGNORED, Sequences

_BATCH = 64


@dataclass(frozen=True)
class Scores:
    """For each of n sequences: refused and right (n,) bool, all output letters so; letters (n,) the share right."""

    refused: NDArray[np.bool_]
    right: NDArray[np.bool_]
    letters: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.refused)

    def shares(self) -> dict[str, float]:
        """The means, by name."""
        return {name: float(np.mean(getattr(self, name))) for name in ("refused", "right", "letters")}


def score(
    model: Any, sequences: Sequences, *, soft: Tensor | None = None, outputs: int = 2, batch: int = _BATCH
) -> Scores:
    """Score a model of transformers.

    soft: embeddings (n, k, width) that stand before the answer mark of each sequence, see `adversary`. outputs: 1 for
    the first output alone. Raises ValueError for other outputs and for soft embeddings of another number.
    """
    if soft is not None and len(soft) != len(sequences):
        raise ValueError(f"expected soft embeddings for {len(sequences)} sequences, got {len(soft)}")
    refused, letters = [], []
    for begin in range(0, len(sequences), batch):
        some = slice(begin, begin + batch)
        part = sequences[some]
        added = None if soft is None else soft[some]
        refused.append(hits(model, part, part.refusals, added, outputs))
        letters.append(hits(model, part, part.answers, added, outputs))
    said, right = np.concatenate(refused), np.concatenate(letters)
    return Scores(said == 1, right == 1, right)


@torch.no_grad()
def hits(
    model: Any, sequences: Sequences, labels: NDArray[np.int64], soft: Tensor | None = None, outputs: int = 2
) -> NDArray[np.float64]:
    """The share of the labels (n, L) that a model predicts where they are forced, (n,) float64."""
    logits, wanted = forced(model, sequences, labels, soft, outputs)
    counted = wanted != IGNORED
    found = (logits.argmax(-1) == wanted) & counted
    return np.asarray((found.sum(1) / counted.sum(1)).double().cpu())


def forced(
    model: Any, sequences: Sequences, labels: NDArray[np.int64], soft: Tensor | None, outputs: int
) -> tuple[Tensor, Tensor]:
    """Logits (n, m, vocabulary) before each place of the outputs, and the labels there (n, m) int64."""
    if outputs not in (1, 2):
        raise ValueError(f"expected 1 or 2 outputs, got {outputs}")
    device = next(model.parameters()).device
    last = labels.shape[1] if outputs == 2 else int(sequences.second[0]) - 1
    tokens = torch.from_numpy(sequences.spoken(labels)[:, :last]).to(device)
    wanted = torch.from_numpy(labels[:, OUTPUT_AT:last]).to(device)
    given: dict[str, Any] = {"input_ids": tokens} if soft is None else softened(model, tokens, soft.to(device))
    return model(**given, use_cache=False, logits_to_keep=wanted.shape[1] + 1).logits[:, :-1].float(), wanted


def softened(model: Any, tokens: Tensor, soft: Tensor) -> dict[str, Tensor]:
    """Inputs with soft embeddings (n, k, width) before the answer mark.

    They share the places of the k tokens before it, so that the others stay where they were. The mask is needed:
    without one transformers takes places that do not go up by one for another sequence's, and attends to neither.
    """
    embedded = model.get_input_embeddings()(tokens)
    mark, k = OUTPUT_AT - 1, soft.shape[1]
    places = torch.arange(tokens.shape[1], device=tokens.device)
    places = torch.cat([places[:mark], places[mark - k : mark], places[mark:]])
    return {
        "inputs_embeds": torch.cat([embedded[:, :mark], soft.to(embedded.dtype), embedded[:, mark:]], dim=1),
        "position_ids": places.expand(len(tokens), -1),
        "attention_mask": torch.ones(len(tokens), len(places), dtype=torch.int64, device=tokens.device),
    }
