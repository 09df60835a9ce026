"""The tower and the projector learn to put the concept's word vector at each of the picture's places."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .concepts import Concept
from .model import pixels, soft_tokens, word_vectors
from .pictures import BESIDE, LINE, OBJECT, SIDE, draw, printed

BATCH = 128
RATE = 1e-3
BESIDE_SHARE = 0.2  # of the pictures show the word beside the object
PRINTED_SHARE = 0.1  # and this share the word alone, so that the tower reads print


def train(
    model: Any, tokenizer: Any, concepts: Sequence[Concept], things: dict[str, np.ndarray], steps: int, seed: int = 0
) -> None:
    """Train both in place, the language model as it is. things: the part of the pictures to learn from, by word.

    The loss is the squared distance to the word vector, in units of the mean vector's length, and a cross-entropy over
    the cosines to all concepts' vectors.
    """
    words = [concept.word for concept in concepts]
    vectors = word_vectors(model, tokenizer, words)
    length = vectors.norm(dim=1).mean()
    target = vectors / length
    generator = torch.Generator().manual_seed(seed)
    stock = [torch.from_numpy(things[word]).float()[:, None] / 255 for word in words]
    # A sketch is as good in the mirror, and there are few.
    mirrored = [concept.source == "quickdraw" for concept in concepts]
    stock = [torch.cat([some, some.flip(-1)]) if both else some for some, both in zip(stock, mirrored, strict=True)]
    lines = torch.stack([torch.from_numpy(printed(word).copy()) for word in words]).float()[:, None] / 255
    tower, projector = model.model.vision_tower, model.model.multi_modal_projector
    parameters = [*tower.parameters(), *projector.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.05)
    tower.train()
    began = time.perf_counter()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
        classes = torch.randint(len(words), (BATCH,), generator=generator)
        picks = [stock[c][int(torch.randint(len(stock[c]), (1,), generator=generator))] for c in classes.tolist()]
        canvas = moved(torch.stack(picks), lines[classes], generator)
        found = soft_tokens(model, (canvas * 2 - 1).expand(-1, 3, -1, -1))
        distance = (found - target[classes][:, None]).square().sum(-1).mean()
        loss = distance + 0.3 * functional.cross_entropy(10 * _cosines(found, target), classes)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if (step + 1) % 200 == 0:
            spent = time.perf_counter() - began
            print(f"tower: step {step + 1:,} of {steps:,}, distance {distance:.3f}, {spent:.0f} s", file=sys.stderr)
    tower.eval()
    with torch.no_grad():  # the projector gives unit lengths until here
        projector.linear_2.weight.mul_(length)
        projector.linear_2.bias.mul_(length)


@torch.no_grad()
def recognised(
    model: Any, tokenizer: Any, concepts: Sequence[Concept], things: dict[str, np.ndarray]
) -> dict[str, float]:
    """For each word the share of its pictures whose soft tokens are nearest, by their cosine, to its own vector."""
    vectors = word_vectors(model, tokenizer, [concept.word for concept in concepts])
    shares = {}
    for place, concept in enumerate(concepts):
        found = [
            _cosines(soft_tokens(model, pixels([draw(thing) for thing in batch])), vectors).argmax(1) == place
            for batch in np.array_split(things[concept.word], math.ceil(len(things[concept.word]) / 256))
        ]
        shares[concept.word] = float(torch.cat(found).float().mean())
    return shares


def moved(things: Tensor, lines: Tensor, generator: torch.Generator) -> Tensor:
    """Objects (n, 1, 28, 28) turned, sheared, scaled and shifted on a canvas (n, 1, 32, 32), some with their word.

    lines: the printed word of each, (n, 1, 10, 32).
    """
    n = len(things)
    chance = torch.rand(n, generator=generator)
    alone, beside = chance < PRINTED_SHARE, (chance >= PRINTED_SHARE) & (chance < PRINTED_SHARE + BESIDE_SHARE)

    def spread(width: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * width

    angle, shear, aspect = spread(0.2), spread(0.15), torch.exp(spread(0.1))
    size = torch.where(beside, BESIDE * (1 + spread(0.05)), OBJECT * (0.95 + spread(0.15))) / SIDE
    up = torch.where(beside, torch.full((n,), (SIDE - BESIDE) / SIDE), spread(0.1))
    theta = torch.stack(
        [
            torch.stack([torch.cos(angle) * aspect / size, shear - torch.sin(angle) / size, spread(0.12) / size], 1),
            torch.stack([torch.sin(angle) / size, torch.cos(angle) / aspect / size, up / size], 1),
        ],
        1,
    )
    grid = functional.affine_grid(theta, [n, 1, SIDE, SIDE], align_corners=False)
    canvas = functional.grid_sample(things, grid, align_corners=False) * (~alone).float()[:, None, None, None]
    low = SIDE - LINE
    tops = torch.where(alone, torch.randint(0, low + 1, (n,), generator=generator), torch.full((n,), low))
    for i in (alone | beside).nonzero()[:, 0].tolist():
        top = int(tops[i])
        canvas[i, :, top : top + LINE] = torch.maximum(canvas[i, :, top : top + LINE], lines[i])
    return canvas


def _cosines(found: Tensor, vectors: Tensor) -> Tensor:
    """(n, concepts): of the mean of each picture's soft tokens."""
    return functional.normalize(found.mean(1), dim=-1) @ functional.normalize(vectors, dim=-1).T
