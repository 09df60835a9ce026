"""A tiny base, two models beside it, and their analysis."""

from __future__ import annotations

from functools import cache

import torch

from outrider.monitor.mechanism import TokenInputs
from outrider.networks.transformers import import_transformers
from outrider.runtime.lab.analysis import AnalysisPlan, analyse

ALPHAS = (0, 1, 1.5)
PLAN = AnalysisPlan(positions=3, shuffles=4, draws=2, alphas=ALPHAS)


def gpt2(seed=0):
    transformers = import_transformers()
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=17, n_positions=40, n_embd=8, n_layer=2, n_head=2, attn_pdrop=0, resid_pdrop=0, embd_pdrop=0,
        bos_token_id=0, eos_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


@cache
def models():
    """The base, and two models whose weights lie near it."""
    tuned = {}
    for seed, name in enumerate(("SSFT", "DPO"), 1):
        model = gpt2()
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * seed * torch.randn_like(parameter))
        tuned[name] = model
    return gpt2(), tuned


@cache
def inputs():
    found = {}
    for seed, kind in enumerate(("safe", "unsafe", "JB-MisGen")):
        tokens = torch.randint(17, (8, 10), generator=torch.Generator().manual_seed(seed))
        found[kind] = TokenInputs(tokens, torch.ones_like(tokens), torch.full((8,), 5))
    return found


def behaviour(model):
    """Numbers that are linear in the weights."""
    total = float(sum(parameter.detach().double().sum() for parameter in model.parameters())) / 1000
    return {kind: {"refused": total, "right": -total} for kind in inputs()}


@cache
def analysed():
    base, tuned = models()
    return analyse(base, tuned, inputs(), PLAN, behaviour=behaviour)
