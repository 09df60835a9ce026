"""Tiny random causal models, and what the measures compute written out once more."""

from __future__ import annotations

import torch

from outrider.monitor.mechanism import TokenInputs
from outrider.networks.transformers import import_transformers

VOCABULARY, WIDTH, LAYERS = 19, 8, 2


def gpt2(seed=0, **given):
    transformers = import_transformers()
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=40, n_embd=WIDTH, n_layer=LAYERS, n_head=2, attn_pdrop=0, resid_pdrop=0,
        embd_pdrop=0, bos_token_id=0, eos_token_id=0, initializer_range=0.3, **given,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


def llama(seed=0):
    transformers = import_transformers()
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=20, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=40, bos_token_id=0, eos_token_id=0,
        initializer_range=0.3,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


MODELS = {"gpt2": gpt2, "llama": llama}


def shifted(model_of, scale=0.02, seed=1):
    """A base, and the same model with every parameter a little elsewhere."""
    base, tuned = model_of(), model_of()
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return base, tuned


def sequences(n=5, length=14, seed=2, last=(4, 6)):
    """Sequences of several lengths, padded on the right, prompts ending at places drawn from a range."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCABULARY, (n, length), generator=generator)
    ends = torch.randint(last[0], last[1] + 1, (n,), generator=generator)
    lengths = torch.randint(last[1] + 4, length + 1, (n,), generator=generator)
    mask = (torch.arange(length) < lengths[:, None]).long()
    return TokenInputs(tokens * mask, mask, ends)


def on_the_left(inputs):
    """The same sequences with their padding on the other side."""
    lengths = inputs.mask.sum(1)
    width = inputs.tokens.shape[1]
    rows = [
        torch.nn.functional.pad(row[:size], (width - int(size), 0))
        for row, size in zip(inputs.tokens, lengths, strict=True)
    ]
    mask = (torch.arange(width) >= width - lengths[:, None]).long()
    return TokenInputs(torch.stack(rows), mask, inputs.last + width - lengths)
