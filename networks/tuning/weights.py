"""The weights of a model: their digest, the ones that are trained, and files of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_file, save_model
from torch import Tensor, nn

from ..transformers.importing import import_transformers

BASE = "base.json"
"""Beside adapters: the fingerprint of the weights that they belong to."""


def weights_digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 of names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        plain = tensor.detach().to("cpu").contiguous().reshape(-1)
        digest.update(f"{name} {plain.dtype} {tuple(tensor.shape)}".encode())
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def base_digest(model: Any) -> str:
    """The digest of a model's weights as they are without adapters of peft, whether it has any or not."""
    if not hasattr(model, "peft_config"):
        return weights_digest(model.state_dict().items())
    state = model.get_base_model().state_dict()
    below = ((name.replace(".base_layer.", "."), tensor) for name, tensor in state.items() if ".lora_" not in name)
    return weights_digest(below)


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: parameters with a gradient, and the buffers that belong to the weights."""
    kept = model.state_dict().keys()
    found = {name: one.data for name, one in model.named_parameters() if one.requires_grad}
    return found | {name: one.data for name, one in model.named_buffers() if name in kept}


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    """One safetensors file, whole or not at all: written beside it, flushed, renamed."""
    temporary = path.with_name(f".{path.name}")
    plain = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, temporary, metadata=facts)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def save_weights(model: Any, folder: Path) -> None:
    """What ``from_pretrained`` opens: adapters alone of a model with adapters, else all weights and the configuration.

    A module that is none of transformers or peft is written to ``model.safetensors``.
    """
    if not hasattr(model, "save_pretrained"):
        save_model(model, str(folder / "model.safetensors"))
        return
    with without_bars():
        if hasattr(model, "peft_config"):
            facts = {"weights": base_digest(model), "kind": type(model.get_base_model()).__name__}
            model.save_pretrained(folder, save_embedding_layers=False)
            (folder / BASE).write_text(json.dumps(facts) + "\n", encoding="utf-8")
        else:
            model.save_pretrained(folder)


def load_weights(model: Any, folder: Path) -> None:
    """Give a model the weights that `save_weights` wrote."""
    if not hasattr(model, "save_pretrained"):
        load_model(model, str(folder / "model.safetensors"))
        return
    with without_bars():
        if hasattr(model, "peft_config"):
            from peft import load_peft_weights, set_peft_model_state_dict

            set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))
        else:
            stored = type(model).from_pretrained(folder, dtype=model.dtype, local_files_only=True)
            model.load_state_dict(stored.state_dict())


@contextmanager
def without_bars() -> Iterator[None]:
    """In its block, transformers shows no progress bars."""
    bars = import_transformers().utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
