"""A model of two layers with random weights, and measured prompts made of random numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

LAYERS, HEADS, WIDTH = 3, 2, 4
SHAPES = {
    "length": (), "heads": (LAYERS, HEADS, WIDTH), "states": (LAYERS, WIDTH), "mlp": (LAYERS, WIDTH), "refusal": (4,),
    "words": (LAYERS,), "angles": (LAYERS * HEADS,),
}  # fmt: skip
WORDS = [
    "how", "do", "i", "kill", "a", "process", "person", "balloon", "shoot", "sorry", "Sorry,", "I", "cannot", "help",
    "with", "that.", "Sorry", "Unfortunately", "As",
]  # fmt: skip
TEMPLATE = "{% for m in messages %}<u> {{ m['content'] }} <e> {% endfor %}{% if add_generation_prompt %}<a>{% endif %}"


@pytest.fixture
def decoder():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers

    from outrider.networks.transformers import Decoder, import_transformers

    transformers = import_transformers()
    names = ["<pad>", "<unk>", "<u>", "<e>", "<a>", *WORDS]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "<e>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, chat_template=TEMPLATE, **special)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(names), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, bos_token_id=None, eos_token_id=3,
        pad_token_id=0,
    )  # fmt: skip
    return Decoder(transformers.LlamaForCausalLM(config).eval(), tokenizer)


@pytest.fixture
def toy():
    """n prompts of a kind; `moved` names the array in which the unsafe ones differ, at its second layer or column."""
    pytest.importorskip("torch")
    from benchmarks.heads.features import Measured

    def measured(n, *, unsafe, seed, moved=""):
        rng = np.random.default_rng(seed)
        arrays = {name: rng.standard_normal((n, *shape)).astype(np.float32) for name, shape in SHAPES.items()}
        arrays["angles"] = np.abs(arrays["angles"])
        if unsafe and moved in arrays:
            arrays[moved][(slice(None), 1) if arrays[moved].ndim > 1 else ...] += 20
        word = "bad" if unsafe and moved == "texts" else "good"
        return Measured(tuple(f"{word} n{seed}x{i}" for i in range(n)), **arrays)

    return measured


@pytest.fixture
def still():
    """What a guard asks of a decoder when everything was measured before."""
    return SimpleNamespace(
        layers=LAYERS, heads=HEADS, head_dim=WIDTH, fingerprint="f" * 64, dtype="float32", encoding="e" * 64
    )
