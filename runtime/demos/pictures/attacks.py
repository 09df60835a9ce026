"""Photographs changed on purpose until the network errs, by the library torchattacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchattacks
from torch import nn

ATTACKS: dict[str, tuple[Callable[[nn.Module], Any], int]] = {
    "FGSM, 8/255": (lambda module: torchattacks.FGSM(module, eps=8 / 255), 250),
    "PGD, 8/255": (lambda module: torchattacks.PGD(module, eps=8 / 255, alpha=2 / 255, steps=10), 250),
    "Carlini-Wagner": (lambda module: torchattacks.CW(module, c=1, steps=50, lr=0.01), 100),
    "DeepFool": (lambda module: torchattacks.DeepFool(module, steps=30), 50),
}
"""Name -> how the attack is made, and how many photographs are worth its time."""


def attack(name: str, module: nn.Module, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Attack images that the network classifies as `labels`; returns the successful results and their rows.

    images: (n, 3, height, width) float32 in [0, 1]. labels: (n,) int64. The same on every run.
    """
    torch.manual_seed(0)
    make, _ = ATTACKS[name]
    changed = make(module)(torch.from_numpy(images), torch.from_numpy(labels)).detach().numpy()
    fooled = np.flatnonzero(classify(module, changed) != labels)
    return changed[fooled], fooled


@torch.no_grad()
def classify(module: nn.Module, images: np.ndarray) -> np.ndarray:
    """The predicted class of each image, (n,) int64."""
    return module(torch.from_numpy(images)).argmax(1).numpy()
