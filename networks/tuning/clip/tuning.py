"""Tune a CLIP by a plan on quadruples: what is frozen is embedded first, then adapters of low rank are trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..adapters import load_adapters, with_adapters
from ..schedule import Schedule
from ..training import Trained, train
from .curriculum import curriculum, places
from .encoder import Clip
from .losses import Embeddings, Redirects, safe_clip_loss, safer_clip_loss
from .nearest import Frozen, nearest_pictures, targets
from .plan import ClipPlan
from .quadruples import Quadruple

ADAPTED = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
"""The layers of both encoders that get adapters, as in Safe-CLIP's code, which adapts the patches too."""
_AT_A_TIME = 256


@dataclass(frozen=True)
class Redirected:
    """Where an unsafe caption went. cosine: of both, in the frozen text encoder. times: quadruples that have it so."""

    unsafe: str
    safe: str
    cosine: float
    times: int


@dataclass(frozen=True)
class ClipTuning:
    """A tuned encoder. trained: the folder, with its adapters, and the curve. redirected: the most frequent first."""

    clip: Clip
    trained: Trained
    redirected: list[Redirected]


def embed(clip: Clip, quadruples: Sequence[Quadruple], picture: Callable[[Any], torch.Tensor]) -> Frozen:
    """What the encoder as it is makes of quadruples. picture: the pixels of an image, (channels, height, width)."""
    texts = _once([one.safe_caption for one in quadruples] + [one.unsafe_caption for one in quadruples])
    images = _once([one.safe_image for one in quadruples] + [one.unsafe_image for one in quadruples])
    text, names = clip.embed_texts(list(texts)), list(images)
    image = np.concatenate(
        [
            clip.embed_pictures(torch.stack([picture(name) for name in names[start : start + _AT_A_TIME]]))
            for start in range(0, len(names), _AT_A_TIME)
        ]
    )
    return Frozen(
        text[[texts[one.safe_caption] for one in quadruples]],
        text[[texts[one.unsafe_caption] for one in quadruples]],
        image[[images[one.safe_image] for one in quadruples]],
        image[[images[one.unsafe_image] for one in quadruples]],
    )


def tune_clip(
    clip: Clip,
    quadruples: Sequence[Quadruple],
    schedule: Schedule,
    folder: str | Path,
    plan: ClipPlan | None = None,
    *,
    picture: Callable[[Any], torch.Tensor] | None = None,
    progress: Callable[[int, int], None] | None = None,
    device: str | None = None,
) -> ClipTuning:
    """Redirect the unsafe items of quadruples to safe ones, and keep the safe ones where they are.

    The references of all losses are embedded once, before adapters are put in, so that they cannot drift. The model of
    `clip` gets the adapters in place: open it anew for another tuning. picture: the pixels that the model takes of an
    image, (channels, height, width) float32; by default `clip.picture`, which reads a file. `folder` holds the adapters
    afterwards; see `train` for going on after a break.
    Raises ValueError for no quadruples, and for a fixed caption that none of them has; what `picture` and `train`
    raise.
    """
    plan = plan or ClipPlan()
    picture = picture or clip.picture
    if not quadruples:
        raise ValueError("expected at least one quadruple, got none")
    frozen = embed(clip, quadruples, picture)
    row = _row(quadruples, plan.caption)
    chosen = targets(frozen, plan.target, row=row)
    pictures = chosen
    if plan.target == "nearest":
        pictures = nearest_pictures(frozen, chosen, [one.safe_caption for one in quadruples])
    draws = _draws(frozen, plan, schedule, chosen, pictures)
    examples = _Examples(clip, quadruples, picture, frozen, chosen, pictures, draws)
    model = with_adapters(clip.model, rank=plan.rank, targets=ADAPTED, seed=schedule.seed)
    tuned = Clip(model, clip.processor)
    loss = _Loss(clip.processor, plan)
    trained = train(model, examples, loss, schedule, folder, progress=progress, device=device, keep=asdict(plan))
    return ClipTuning(tuned, trained, _redirected(quadruples, frozen, chosen))


def load_tuned(clip: Clip, folder: str | Path) -> Clip:
    """The encoder with the adapters that `tune_clip` left in a folder. The model of `clip` gets them in place.

    Raises what `load_adapters` raises, such as for adapters of other weights.
    """
    return Clip(load_adapters(clip.model, folder).eval(), clip.processor)


def _draws(
    frozen: Frozen, plan: ClipPlan, schedule: Schedule, chosen: np.ndarray, pictures: np.ndarray
) -> np.ndarray | None:
    """Which quadruple stands at each place of the examples; None for the quadruples as they are, shuffled."""
    if plan.curriculum == "none":
        return None
    text, image = (chosen, pictures) if plan.curriculum == "target" else (slice(None), slice(None))
    similarity = (
        (frozen.unsafe_text * frozen.safe_text[text]).sum(1) + (frozen.unsafe_image * frozen.safe_image[image]).sum(1)
    ) / 2
    return places(curriculum(similarity, schedule.steps * schedule.batch, schedule.seed), schedule)


class _Examples:
    """Quadruples as tensors, each with what the frozen encoder made of it and where its unsafe item goes."""

    def __init__(
        self, clip: Clip, quadruples: Sequence[Quadruple], picture: Callable[[Any], torch.Tensor], frozen: Frozen,
        chosen: np.ndarray, pictures: np.ndarray, draws: np.ndarray | None,
    ) -> None:  # fmt: skip
        self.quadruples, self.picture = quadruples, picture
        self.draws = np.arange(len(quadruples)) if draws is None else draws
        self.safe_ids, self.safe_mask = clip.tokens([one.safe_caption for one in quadruples])
        self.unsafe_ids, self.unsafe_mask = clip.tokens([one.unsafe_caption for one in quadruples])
        goals = frozen.safe_text[chosen], frozen.safe_image[pictures]
        self.embedded = torch.from_numpy(np.stack([*frozen, *goals], axis=1))  # (n, 6, width)

    def __len__(self) -> int:
        return len(self.draws)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        row = int(self.draws[place])
        one = self.quadruples[row]
        return {
            "pixels": torch.stack([self.picture(one.safe_image), self.picture(one.unsafe_image)]),
            "ids": torch.stack([self.safe_ids[row], self.unsafe_ids[row]]),
            "mask": torch.stack([self.safe_mask[row], self.unsafe_mask[row]]),
            "frozen": self.embedded[row],
        }


class _Loss:
    """The loss of a plan on a batch of `_Examples`."""

    def __init__(self, processor: Any, plan: ClipPlan) -> None:
        self.processor, self.plan = processor, plan

    def __call__(self, model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        clip = Clip(model, self.processor)
        text = clip.embed_tokens(batch["ids"].flatten(0, 1), batch["mask"].flatten(0, 1)).unflatten(0, (-1, 2))
        image = clip.embed_pixels(batch["pixels"].flatten(0, 1)).unflatten(0, (-1, 2))
        tuned = Embeddings(text[:, 0], text[:, 1], image[:, 0], image[:, 1])
        columns = batch["frozen"].unbind(1)
        frozen, goals = Embeddings(*columns[:4]), Redirects(*columns[4:])
        if self.plan.method == "safe-clip":
            return safe_clip_loss(tuned, frozen)
        return safer_clip_loss(tuned, frozen, goals, redirect=self.plan.redirect, preserve=self.plan.preserve)


def _row(quadruples: Sequence[Quadruple], caption: str | None) -> int | None:
    if caption is None:
        return None
    for row, one in enumerate(quadruples):
        if one.safe_caption == caption:
            return row
    raise ValueError(f"expected a fixed target among the quadruples' safe captions, got {caption!r}")


def _redirected(quadruples: Sequence[Quadruple], frozen: Frozen, chosen: np.ndarray) -> list[Redirected]:
    cosines = (frozen.unsafe_text * frozen.safe_text[chosen]).sum(1)
    found: Counter[tuple[str, str]] = Counter()
    of: dict[tuple[str, str], float] = {}
    for one, row, cosine in zip(quadruples, chosen, cosines, strict=True):
        pair = one.unsafe_caption, quadruples[row].safe_caption
        found[pair] += 1
        of[pair] = float(cosine)
    return [Redirected(*pair, of[pair], times) for pair, times in found.most_common()]


def _once(names: Sequence[Hashable]) -> dict[Any, int]:
    """Each name once, with its place."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
