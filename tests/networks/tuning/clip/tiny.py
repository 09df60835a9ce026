"""A CLIP of random weights with a tokenizer of words, and quadruples of small pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.transformers import import_transformers

WORDS = ["a", "drawing", "of", "an", "apple", "bridge", "house", "rifle", "sword", "boat"]
SIDE = 8


def tiny_clip(folder, *, seed=0):
    """Write a CLIP with two layers of width 8 in each encoder, pictures of 8 x 8, to a folder."""
    transformers = import_transformers()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    known = {"<pad>": 0, "<start>": 1, "<unknown>": 2} | {word: i + 3 for i, word in enumerate(WORDS)}
    known["<end>"] = len(known)
    words = Tokenizer(models.WordLevel(known, unk_token="<unknown>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<start>", 1), ("<end>", known["<end>"])]
    words.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unknown>", bos_token="<start>", eos_token="<end>"
    )
    image = transformers.CLIPImageProcessor(
        do_resize=False, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    common = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        projection_dim=6,
        text_config={
            **common, "vocab_size": len(known), "max_position_embeddings": 8,
            "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": known["<end>"],
        },
        vision_config={**common, "image_size": SIDE, "patch_size": 4},
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.CLIPModel(config)
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 or name.endswith("class_embedding"):
                torch.nn.init.normal_(parameter, std=1.0)  # else all texts and all pictures look alike
    model.save_pretrained(folder)
    transformers.CLIPProcessor(image_processor=image, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def picture(number):
    """A picture of its own for each number, (8, 8, 3) uint8."""
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def pairs(count):
    """Captions of `count` quadruples: (safe, unsafe)."""
    safe, unsafe = ("apple", "bridge", "house", "boat"), ("rifle", "sword")
    return [(f"a drawing of {safe[i % 4]}", f"a drawing of {unsafe[i // 4 % 2]}") for i in range(count)]


def write_quadruples(folder, count):
    """Pictures as PNG files and `quadruples.jsonl` beside them; the path of the latter."""
    pillow = pytest.importorskip("PIL.Image")
    lines = []
    for i, (safe, unsafe) in enumerate(pairs(count)):
        for kind, number in (("safe", 2 * i), ("unsafe", 2 * i + 1)):
            pillow.fromarray(picture(number)).save(folder / f"{kind}-{i}.png")
        images = {"safe_image": f"safe-{i}.png", "unsafe_image": f"unsafe-{i}.png"}
        lines.append(json.dumps({**images, "safe_caption": safe, "unsafe_caption": unsafe}))
    path = folder / "quadruples.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path
