"""A small CLIP that learns sketches with captions: transformers' CLIPModel, a processor, and its training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from outrider.networks.transformers import import_transformers
from outrider.networks.tuning import Schedule, train
from outrider.networks.tuning.clip import Clip, open_clip

from .concepts import TEMPLATES, Classes
from .sketches import SIDE, Sketches

LENGTH = 12  # tokens of a caption at most
WIDTH = 64  # of embeddings


@dataclass(frozen=True)
class Shape:
    """Width and layers of the picture encoder; the text encoder has two layers of width 64."""

    width: int = 96
    layers: int = 4


def trained(
    sketches: Sketches, shape: Shape, schedule: Schedule, folder: Path, device: str,
    progress: Callable[[int, int], None] | None = None,
) -> Clip:  # fmt: skip
    """The base of a seed, trained where the folder does not hold it yet."""
    processor = _processor(sketches.classes)
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        model = _model(shape, processor.tokenizer)
    clip = Clip(model, processor)
    examples = _Captioned(clip, sketches, schedule)
    train(model, examples, contrastive, schedule, folder / "base", progress=progress, device=device)
    if not (folder / "base" / "processor_config.json").is_file():
        new = folder / "processor"
        processor.save_pretrained(new)
        for path in new.iterdir():
            path.replace(folder / "base" / path.name)
        shutil.rmtree(new)
    return open_clip(folder / "base", device=device)


class _Captioned:
    """A training picture for each draw, with a caption by a template of chance; the same at each call."""

    def __init__(self, clip: Clip, sketches: Sketches, schedule: Schedule) -> None:
        self.pixels, self.labels = sketches.pixels("train")
        captions = [template.format(name) for name in sketches.classes.every for template in TEMPLATES]
        self.ids, self.mask = clip.tokens(captions)
        self.draws = schedule.steps * schedule.batch
        self.templates = np.random.default_rng(schedule.seed).integers(len(TEMPLATES), size=self.draws)

    def __len__(self) -> int:
        return self.draws

    def __getitem__(self, draw: int) -> dict[str, Any]:
        row = draw % len(self.labels)
        label = int(self.labels[row])
        caption = label * len(TEMPLATES) + int(self.templates[draw])
        return {"pixels": self.pixels[row], "ids": self.ids[caption], "mask": self.mask[caption], "label": label}


def contrastive(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """CLIP's loss, where pictures and captions of one class in a batch share the part of the partner."""
    clip = Clip(model, None)
    image = functional.normalize(clip.embed_pixels(batch["pixels"]).float(), dim=-1)
    text = functional.normalize(clip.embed_tokens(batch["ids"], batch["mask"]).float(), dim=-1)
    logits = model.logit_scale.exp().clamp(max=100) * image @ text.T
    same = (batch["label"][:, None] == batch["label"][None]).float()
    share = same / same.sum(1, keepdim=True)
    return -((share * logits.log_softmax(1)).sum(1) + (share * logits.T.log_softmax(1)).sum(1)).mean() / 2


def _model(shape: Shape, tokenizer: Any) -> Any:
    transformers = import_transformers()
    config = transformers.CLIPConfig(
        projection_dim=WIDTH,
        text_config={
            "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4,
            "vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "hidden_size": shape.width, "intermediate_size": 4 * shape.width, "num_hidden_layers": shape.layers,
            "num_attention_heads": 4, "image_size": SIDE, "patch_size": 7,
        },
    )  # fmt: skip
    return transformers.CLIPModel(config)


def _processor(classes: Classes) -> Any:
    """Words are tokens; pictures are scaled to −1 to 1."""
    transformers = import_transformers()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = _words(classes.every)
    known = {word: i for i, word in enumerate(("<pad>", "<start>", "<unknown>", *words, "<end>"))}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unknown>"))  # noqa: S106 (no password)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("<start>", known["<start>"]), ("<end>", known["<end>"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unknown>", bos_token="<start>", eos_token="<end>"  # noqa: S106
    )  # fmt: skip
    pictures = transformers.CLIPImageProcessor(
        do_resize=False, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return transformers.CLIPProcessor(image_processor=pictures, tokenizer=fast)


def _words(names: Sequence[str]) -> list[str]:
    captions = [template.format(name) for name in names for template in TEMPLATES]
    return sorted({word for caption in captions for word in caption.split()})
