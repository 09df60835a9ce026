"""A CLIP of the package transformers, from a folder on this machine: texts and pictures as embeddings."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from ...pictures.reading import read_picture
from ...transformers.importing import import_transformers
from ..weights import without_bars

_AT_A_TIME = 256


@dataclass(frozen=True)
class Clip:
    """An encoder of texts and pictures. model: a CLIPModel, with or without adapters. processor: its CLIPProcessor."""

    model: Any
    processor: Any

    def tokens(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and their mask, (n, length) int64 each; texts are cut at the model's longest."""
        longest = self.model.config.text_config.max_position_embeddings
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        found = tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=longest, return_tensors="pt"
        )  # fmt: skip
        return found["input_ids"], found["attention_mask"]

    def picture(self, path: str | os.PathLike[str]) -> torch.Tensor:
        """The pixels of a file as the model takes them, (channels, height, width) float32.

        Raises FileNotFoundError for no file, ValueError for what is no picture of 8 bits.
        """
        values = read_picture(path)
        if values.dtype != np.uint8:
            raise ValueError(f"{path}: expected a picture of 8 bits, got {values.dtype}")
        rgb = np.array(np.broadcast_to(values, (3, *values.shape[1:])))
        images = getattr(self.processor, "image_processor", self.processor)
        found = images(rgb, input_data_format="channels_first", return_tensors="pt")
        return found["pixel_values"][0]

    def embed_tokens(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, width) of token ids and their mask, (n, length); no unit length, with gradients."""
        return _projected(self.model.get_text_features(input_ids=ids, attention_mask=mask))

    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, width) of pixels (n, channels, height, width); no unit length, with gradients."""
        return _projected(self.model.get_image_features(pixel_values=pixels))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts, (n, width) float32 of unit length, without dropout and gradients."""
        ids, mask = self.tokens(texts)
        return self._embedded(self.embed_tokens, ids, mask)

    def embed_pictures(self, pixels: torch.Tensor) -> np.ndarray:
        """Embeddings of pixels (n, channels, height, width), (n, width) float32 of unit length, as `embed_texts`."""
        return self._embedded(self.embed_pixels, pixels)

    def _embedded(self, embed: Any, *inputs: torch.Tensor) -> np.ndarray:
        device, training = self.model.device, self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                parts = [
                    torch.nn.functional.normalize(embed(*(one.to(device) for one in part)).float(), dim=-1).cpu()
                    for part in zip(*(one.split(_AT_A_TIME) for one in inputs), strict=True)
                ]
        finally:
            self.model.train(training)
        return torch.cat(parts).numpy()


def open_clip(folder: str | os.PathLike[str], *, device: str = "cpu") -> Clip:
    """A CLIPModel and its processor from a folder of transformers, in float32. Nothing is downloaded, no code run.

    Raises FileNotFoundError for a path without a model, ValueError for a model of another kind or a damaged one,
    ImportError without transformers.
    """
    transformers = import_transformers()
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise FileNotFoundError(f"{path}: expected the folder of a CLIP with its config.json, got no such thing")
    try:
        kind = json.loads((path / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path / 'config.json'}: expected the configuration of a CLIP, got {error}") from None
    if kind != "clip":
        raise ValueError(f"{path}: expected a CLIP, model_type 'clip' in config.json, got {kind!r}")
    options: dict[str, Any] = {"local_files_only": True}
    try:
        with without_bars():
            processor = transformers.CLIPProcessor.from_pretrained(path, **options)
            model = transformers.CLIPModel.from_pretrained(path, dtype=torch.float32, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path}: expected a CLIP that transformers can open, got {error}") from error
    return Clip(model.to(device).eval(), processor)


def _projected(found: Any) -> torch.Tensor:
    """What transformers returns: the embeddings before version 5, what holds them from then on."""
    return found if isinstance(found, torch.Tensor) else found.pooler_output
