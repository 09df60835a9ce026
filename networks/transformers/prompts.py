"""Prompts as tokens: the chat template, the pictures, the padding."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..pictures.given import picture_of
from ..pictures.reading import read_picture
from .identity import picture_settings

_PER_TOKEN = ("input_ids", "attention_mask", "inputs_embeds", "token_type_ids", "mm_token_type_ids")
_PROBE = "Is this prompt rendered as before?"


class PromptError(ValueError):
    """One prompt cannot be judged: it is empty, too long, or its picture cannot be read."""


class Prompt(NamedTuple):
    """What a user asks. images: paths, PIL images or uint8 arrays (height, width, 3), in the order of the template."""

    text: str
    images: tuple[Any, ...] = ()


def as_prompt(thing: Any) -> Prompt:
    """A prompt from a str, a Prompt, or a mapping with ``prompt`` and ``image`` or ``images``.

    Raises PromptError for a prompt without text, and for anything else.
    """
    if isinstance(thing, Prompt):
        prompt = thing
    elif isinstance(thing, str):
        prompt = Prompt(thing)
    elif isinstance(thing, Mapping) and isinstance(thing.get("prompt"), str):
        images = thing.get("images")
        if images is not None and thing.get("image") is not None:
            raise PromptError("expected pictures under 'image' or 'images', got both")
        images = [thing["image"]] if images is None and thing.get("image") is not None else images or []
        if not isinstance(images, Sequence) or isinstance(images, str):
            raise PromptError(f"expected a list of pictures under 'images', got {type(images).__name__}")
        prompt = Prompt(thing["prompt"], tuple(images))
    else:
        got = f"a mapping with {', '.join(map(str, thing))}" if isinstance(thing, Mapping) else type(thing).__name__
        raise PromptError(f"expected a text, or a mapping with a text under 'prompt', got {got}")
    if not prompt.text.strip():
        raise PromptError("expected a prompt with words, got an empty one")
    return prompt


class Chat:
    """A processor or tokenizer of transformers with a chat template, and the system prompt that goes with it.

    system: None leaves it to the template, which may add one of its own. context: the most tokens of a prompt, None
    for any number. Raises ValueError where there is no chat template.
    """

    def __init__(self, processor: Any, system: str | None = None, context: int | None = None) -> None:
        self.processor = processor
        self.system = system
        self.context = context
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.sees = self.tokenizer is not processor
        if not (getattr(processor, "chat_template", None) or getattr(self.tokenizer, "chat_template", None)):
            raise ValueError(
                "expected a tokenizer with a chat template, got one without; the template decides where the answer"
                " begins: set tokenizer.chat_template to the one that the model was tuned with"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of what a fixed prompt becomes: another template, system prompt or vocabulary has another.

        Also of the settings of the image processor, where there is one.
        """
        text = self.render(Prompt(_PROBE))
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        seeing = getattr(self.processor, "image_processor", None) if self.sees else None
        pictures = "" if seeing is None else f"\n{picture_settings(seeing)}"
        return hashlib.sha256(f"{text}\n{list(tokens)}{pictures}".encode()).hexdigest()

    def render(self, prompt: Prompt) -> str:
        """The prompt in the words of the template, to the point where the answer begins."""
        return self._templated(prompt)

    def _templated(self, prompt: Prompt, answer: str | None = None) -> str:
        content: Any = prompt.text
        if self.sees:
            content = [*({"type": "image"} for _ in prompt.images), {"type": "text", "text": prompt.text}]
        messages = [{"role": "user", "content": content}]
        if self.system is not None:
            told = [{"type": "text", "text": self.system}] if self.sees else self.system
            messages.insert(0, {"role": "system", "content": told})
        if answer is not None:
            messages.append(
                {"role": "assistant", "content": [{"type": "text", "text": answer}] if self.sees else answer}
            )
        owner = self.processor if getattr(self.processor, "chat_template", None) else self.tokenizer
        return str(owner.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer is None))

    def render_answer(self, prompt: Prompt, answer: str) -> str:
        """The answer as the template writes it behind the prompt, to the token that ends it.

        Where the template does not write the prompt as before once an answer follows, the answer and the end alone.
        """
        asked = self.render(prompt)
        said = self._templated(prompt, answer)
        end = str(self.tokenizer.eos_token or "")
        if not said.startswith(asked):
            return answer + end
        said = said[len(asked) :]
        after = said.rpartition(answer.strip())[2]
        return said.rstrip() if after.strip() else said.rstrip() + end

    def encode(self, things: Sequence[Any]) -> dict[str, Tensor]:
        """A batch of prompts as a model's inputs, padded on the left.

        Raises PromptError, which names the prompt by its index where there are several.
        """
        encoded = []
        for index, thing in enumerate(things):
            try:
                encoded.append(self._encode(as_prompt(thing)))
            except PromptError as error:
                raise PromptError(f"prompt {index}: {error}" if len(things) > 1 else str(error)) from None
        if not encoded:
            raise ValueError("expected at least one prompt, got none")
        padding = self.tokenizer.pad_token_id
        return _joined(encoded, self.tokenizer.eos_token_id if padding is None else padding)

    def _encode(self, prompt: Prompt) -> dict[str, Tensor]:
        if prompt.images and not self.sees:
            raise PromptError("expected a prompt without pictures for a model of text, got one with pictures")
        text = self.render(prompt)
        pictures = [_picture(image) for image in prompt.images] or None
        try:
            found = self._tokens(text, pictures)
        except ImportError:
            raise
        except Exception as error:  # noqa: BLE001 (processors raise all kinds of things for a prompt that they cannot take)
            kind = type(self.processor).__name__
            raise PromptError(f"expected a prompt that {kind} can take, got {type(error).__name__}: {error}") from None
        length = found["input_ids"].shape[1]
        if self.context is not None and length > self.context:
            raise PromptError(f"expected a prompt of at most {self.context:,} tokens, got {length:,}; shorten it")
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def _tokens(self, text: str, pictures: list[Any] | None) -> Mapping[str, Any]:
        if self.sees:
            start = self.tokenizer.bos_token
            special = not (start and text.startswith(start))
            return self.processor(text=[text], images=pictures, return_tensors="pt", add_special_tokens=special)
        return self.tokenizer([text], return_tensors="pt", add_special_tokens=False)


def _picture(image: Any) -> Any:
    from PIL import Image

    try:
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise PromptError(f"expected a uint8 picture (height, width, 3), got {image.dtype} {image.shape}")
            return Image.fromarray(image)
        if isinstance(image, (str, PathLike, Image.Image)):
            picture = picture_of(image) if isinstance(image, Image.Image) else read_picture(image)
            if picture.dtype != np.uint8:
                raise PromptError(f"expected a picture of 8 bits, got {picture.dtype} in {image}")
            return Image.fromarray(np.broadcast_to(picture.transpose(1, 2, 0), (*picture.shape[1:], 3)).copy())
    except PromptError:
        raise
    except Exception as error:  # noqa: BLE001 (a damaged picture may raise anything)
        raise PromptError(f"expected a picture that can be read, got {image}: {error}") from None
    raise PromptError(f"expected a path, a PIL image or a uint8 array as picture, got {type(image).__name__}")


def _joined(encoded: Sequence[dict[str, Tensor]], padding: int | None) -> dict[str, Tensor]:
    """Single prompts as one batch, padded on the left."""
    names = list(dict.fromkeys(name for one in encoded for name in one))
    longest = max(one["input_ids"].shape[1] for one in encoded)
    joined = {}
    for name in names:
        values = [one[name] for one in encoded if name in one]
        if name in _PER_TOKEN:
            fill = (padding or 0) if name == "input_ids" else 0
            values = [torch.nn.functional.pad(value, (longest - value.shape[1], 0), value=fill) for value in values]
        if len({value.shape[1:] for value in values}) > 1 or (name in _PER_TOKEN and len(values) < len(encoded)):
            raise ValueError(f"expected prompts whose {name} have one shape, got several; encode them one at a time")
        joined[name] = torch.cat(values)
    return joined


def left_padded(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs whose padding stands on the left, with an attention mask; padding on the right is moved.

    Raises ValueError where padding stands between tokens, or a row has none.
    """
    tokens = inputs.get("input_ids", inputs.get("inputs_embeds"))
    if tokens is None or tokens.ndim < 2:
        raise ValueError("expected input_ids (batch, tokens) or inputs_embeds (batch, tokens, width), got neither")
    mask = inputs.get("attention_mask")
    if mask is None:
        mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
    if mask.shape != tokens.shape[:2]:
        raise ValueError(f"expected an attention mask of {tuple(tokens.shape[:2])}, got {tuple(mask.shape)}")
    out = {name: value for name, value in inputs.items() if value is not None} | {"attention_mask": mask}
    if bool(mask.all()):
        return out
    lengths = mask.sum(1)
    places = torch.arange(mask.shape[1], device=mask.device)
    right, left = places < lengths[:, None], places >= mask.shape[1] - lengths[:, None]
    on_right, on_left = (mask == right).all(1), (mask == left).all(1)
    if not bool((on_right | on_left).all()) or not bool(lengths.all()):
        raise ValueError("expected every row to hold tokens, with padding on one side alone, got something else")
    if bool(on_left.all()):
        return out
    shift = torch.where(on_left, 0, mask.shape[1] - lengths)
    order = (places - shift[:, None]) % mask.shape[1]
    rows = torch.arange(len(mask), device=mask.device)[:, None]
    moved = {name: out[name][rows, order] for name in _PER_TOKEN if name in out}
    return {name: value for name, value in out.items() if name != "position_ids"} | moved
