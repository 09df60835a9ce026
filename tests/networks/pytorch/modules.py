"""Small modules, and what hooks by hand see of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SHAPE = (3, 8, 8)


def images(n=3, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def built(module, seed=0):
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def chain(*modules):
    return built(nn.Sequential(*modules))


def conv_net():
    return chain(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5))


def seen_by_hooks(module, batch, names):
    """The outputs of the named modules, each call on its own, copied when they are made."""
    seen = {name: [] for name in names}
    handles = [
        module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen[name].append(output.clone())
        )
        for name in names
    ]
    with torch.no_grad():
        output = module(torch.from_numpy(batch))
    for handle in handles:
        handle.remove()
    return output, seen


class Untraceable(nn.Module):
    """Branches on the data: what it runs depends on the sign of the sum."""

    def __init__(self, activation=None):
        super().__init__()
        self.dense = nn.Linear(6, 6)
        self.relu = activation or nn.Identity()

    def forward(self, x):
        x = functional.relu(self.dense(x))
        return self.relu(x) if x.sum() >= 0 and not (x > 1e6).any() else x
