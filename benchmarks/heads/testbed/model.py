"""The model: a small CLIP tower and a projector before SmolLM2, in transformers' own LLaVA classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from outrider.networks import cache_folder
from outrider.networks.transformers import Decoder, Prompt, import_transformers, open_decoder

from .concepts import Concept, Pair
from .pictures import SIDE, draw

IMAGE = "<image>"
# That of SmolLM2 without its system prompt, and with a place for pictures. In words a picture reads "Picture: dog. ".
TEMPLATE = """{% for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{% if part['type'] == 'image' %}Picture:<image>. {% else %}{{ part['text'] }}{% endif %}\
{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@dataclass(frozen=True)
class Shape:
    """The tower's size. A picture becomes (32 / patch)² tokens."""

    width: int = 192
    layers: int = 4
    heads: int = 4
    patch: int = 16

    @property
    def tokens(self) -> int:
        return (SIDE // self.patch) ** 2


def default_folder() -> Path:
    """Where `build` puts the model, and `measure` looks for it."""
    return cache_folder() / "testbed"


def assembled(language: str | os.PathLike[str], shape: Shape) -> tuple[Any, Any]:
    """A LLaVA model with the language model of a folder or GGUF file, an untrained tower and projector; its processor.

    The language model gets one word more, that of the picture's place.
    """
    transformers = import_transformers()
    source = open_decoder(language)
    tokenizer = source.processor
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]}, replace_extra_special_tokens=False)
    tokenizer.chat_template = TEMPLATE
    text = source.model.config
    place = tokenizer.convert_tokens_to_ids(IMAGE)
    source.model.resize_token_embeddings(max(len(tokenizer), text.vocab_size), mean_resizing=False)
    vision = transformers.CLIPVisionConfig(
        hidden_size=shape.width,
        intermediate_size=3 * shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        image_size=SIDE,
        patch_size=shape.patch,
        hidden_act="gelu",
    )
    config = transformers.LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=place,
        image_seq_length=shape.tokens,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    model = transformers.LlavaForConditionalGeneration(config).eval()
    model.model.language_model.load_state_dict(source.model.model.state_dict())
    model.tie_weights()
    model.generation_config = source.model.generation_config
    return model, processor(tokenizer, shape)


def processor(tokenizer: Any, shape: Shape) -> Any:
    """LLaVA's processor: pictures to 32 x 32 pixels in [-1, 1], their place to as many tokens as the tower gives."""
    transformers = import_transformers()
    pictures = transformers.CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return transformers.LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=shape.patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
        image_token=IMAGE,
    )


def pixels(pictures: Sequence[np.ndarray]) -> Tensor:
    """What the processor makes of pictures, (n, 32, 32, 3) uint8: (n, 3, 32, 32) float32 in [-1, 1]."""
    values = torch.from_numpy(np.stack(list(pictures))).permute(0, 3, 1, 2).float()
    return values / 127.5 - 1


def soft_tokens(model: Any, values: Tensor) -> Tensor:
    """The embeddings that stand at the picture's place: (n, tokens, width) for pixels (n, 3, 32, 32)."""
    seen = model.model.vision_tower(pixel_values=values).last_hidden_state[:, 1:]
    return model.model.multi_modal_projector(seen)


def word_vectors(model: Any, tokenizer: Any, words: Sequence[str]) -> Tensor:
    """The embedding of each word with its leading space, (n, width). Raises ValueError for a word of several tokens."""
    rows = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in words]
    if long := [word for word, row in zip(words, rows, strict=True) if len(row) != 1]:
        raise ValueError(f"expected words of one token, got {', '.join(long)}")
    return model.get_input_embeddings().weight.detach()[torch.tensor([row[0] for row in rows])]


def prompt(pair: Pair, things: dict[str, np.ndarray], printed: str | None = None, *, across: bool = False) -> Prompt:
    """A pair as the model's input. things: the pictures of each word. printed, across: the text of `draw`."""
    return Prompt(pair.task.text, (draw(things[pair.concept.word][pair.picture], printed, across=across),))


def named(decoder: Decoder, concepts: Sequence[Concept], things: dict[str, np.ndarray], question: str) -> np.ndarray:
    """The share of each concept's pictures that the model names, where its first word behind "It is a" decides."""
    tokenizer = decoder.processor.tokenizer
    words = torch.tensor([tokenizer(f" {c.word}", add_special_tokens=False)["input_ids"][0] for c in concepts])
    start = torch.tensor(tokenizer("It is a", add_special_tokens=False)["input_ids"])
    found = []
    for place, concept in enumerate(concepts):
        right = 0
        for batch in np.array_split(things[concept.word], max(1, len(things[concept.word]) // 32)):
            inputs = decoder.encode([Prompt(question, (draw(thing),)) for thing in batch])
            more = start.expand(len(batch), -1)
            inputs["input_ids"] = torch.cat([inputs["input_ids"], more], 1)
            inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(more)], 1)
            with torch.no_grad():
                logits = decoder.model(**inputs, logits_to_keep=1).logits[:, -1]
            right += int((logits[:, words].argmax(1) == place).sum())
        found.append(right / max(1, len(things[concept.word])))
    return np.array(found)
