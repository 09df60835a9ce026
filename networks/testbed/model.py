"""The testbed's model: a small decoder of transformers' classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..transformers.importing import import_transformers
from ..tuning.weights import without_bars
from .language import PLACES, VOCABULARY

KINDS_OF_MODEL = ("gpt2", "llama")
WINDOW = 160


def new_model(
    seed: int = 0, *, layers: int = 6, heads: int = 6, width: int = 192, window: int = WINDOW, kind: str = "gpt2"
) -> Any:
    """An untrained decoder, by default of the paper's size: 2.7 million parameters, embeddings of deviation 0.02.

    kind: "gpt2" with learned places and LayerNorm, as the paper's, or "llama". Raises ValueError for another kind and
    for a window below a sequence and its two soft tokens.
    """
    if kind not in KINDS_OF_MODEL:
        raise ValueError(f"expected a kind of model among {', '.join(KINDS_OF_MODEL)}, got {kind!r}")
    if window < PLACES + 2:
        raise ValueError(f"expected a window of at least {PLACES + 2} tokens, got {window}")
    transformers = import_transformers()
    shared: dict[str, Any] = {
        "vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": None, "initializer_range": 0.02,
        "attn_implementation": "sdpa", "tie_word_embeddings": True,
    }  # fmt: skip
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(seed)
        if kind == "llama":
            return transformers.LlamaForCausalLM(
                transformers.LlamaConfig(
                    hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
                    num_attention_heads=heads, max_position_embeddings=window, **shared,
                )
            )  # fmt: skip
        return transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                n_embd=width, n_layer=layers, n_head=heads, n_positions=window, resid_pdrop=0.0, embd_pdrop=0.0,
                attn_pdrop=0.0, activation_function="gelu_pytorch_tanh", **shared,
            )
        )  # fmt: skip
    finally:
        torch.random.set_rng_state(state)


def open_model(folder: str | Path, device: str = "cpu") -> Any:
    """A model of the testbed from its folder, for inference."""
    with without_bars():
        model = import_transformers().AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    return model.to(device).eval()
