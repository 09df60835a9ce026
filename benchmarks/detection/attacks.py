"""Evaluation sets for the detection benchmark: clean test images, other images, noise, and attacks by foolbox.

Attacks start from correctly classified images; only those that change the prediction are kept. They are cached under
a hash of the network's weights, so that a benchmark is quick the second time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from outrider.networks import ImageSet, cache_folder

SEED = 0
BATCH = 100


@dataclass(frozen=True)
class EvaluationSet:
    """One column of the table.

    images: (n, channels, height, width) float32 in [0, 1]. tried: images attacked, 0 where there was no attack.
    l2, linf: mean norms of the perturbation, 0 where there was none.
    """

    name: str
    images: np.ndarray
    tried: int = 0
    l2: float = 0.0
    linf: float = 0.0

    @property
    def success(self) -> float:
        """The share of attacked images whose prediction changed; nan where there was no attack."""
        return len(self.images) / self.tried if self.tried else float("nan")


@dataclass(frozen=True)
class Attack:
    """An attack of foolbox by its class and settings; epsilon None for attacks that seek the least perturbation."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    epsilon: float | None
    count: int

    def method(self) -> Any:
        """The attack itself."""
        import foolbox

        return getattr(foolbox.attacks, self.kind)(**self.settings)

    def __str__(self) -> str:
        settings = {key: value for key, value in vars(self.method()).items() if isinstance(value, (int, float, str))}
        return f"{self.kind} {json.dumps(settings, sort_keys=True)} epsilon={self.epsilon}"


def fgsm(name: str, epsilon: float, count: int) -> Attack:
    """Fast gradient sign (Goodfellow et al., ICLR 2015)."""
    return Attack(name, "LinfFastGradientAttack", {}, epsilon, count)


def pgd(name: str, epsilon: float, count: int) -> Attack:
    """Projected gradient descent (Madry et al., ICLR 2018): 20 steps of 2.5 epsilon / 20 from a random start."""
    return Attack(name, "LinfPGD", {"steps": 20, "rel_stepsize": 2.5 / 20}, epsilon, count)


def deepfool(count: int) -> Attack:
    """DeepFool in L2 (Moosavi-Dezfooli et al., CVPR 2016) with its published overshoot of 2 %."""
    return Attack("DeepFool", "L2DeepFoolAttack", {"steps": 50, "overshoot": 0.02}, None, count)


def carlini_wagner(count: int, stepsize: float, confidence: float = 0.0) -> Attack:
    """Carlini and Wagner's L2 attack (S&P 2017), shortened: 5 rounds for the constant, of 100 steps each.

    confidence: how far the new class must lie above the others. Black and white pixels lie at the flat ends of its
    tanh, so images with many of them need a large stepsize.
    """
    settings = {
        "binary_search_steps": 5,
        "steps": 100,
        "stepsize": stepsize,
        "initial_const": 1,
        "confidence": confidence,
    }
    return Attack(f"CW κ={confidence:g}" if confidence else "CW", "L2CarliniWagnerAttack", settings, None, count)


def fitted(images: ImageSet, shape: tuple[int, int, int]) -> np.ndarray:
    """Images as float32 of another (channels, height, width): resized bilinearly, of as many channels."""
    pixels = torch.from_numpy(images.floats())
    if shape[0] == 1:
        pixels = pixels.mean(1, keepdim=True)
    if pixels.shape[2:] != shape[1:]:
        pixels = nn.functional.interpolate(pixels, shape[1:], mode="bilinear", antialias=True)
    return pixels.expand(-1, shape[0], -1, -1).contiguous().numpy()


def uniform_noise(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """(count, *shape) float32, every value drawn uniformly from [0, 1)."""
    return np.random.default_rng(SEED).random((count, *shape), np.float32)


def attacked(module: nn.Module, clean: ImageSet, attack: Attack, folder: Path | None = None) -> EvaluationSet:
    """The successful attacks on the first `attack.count` images of `clean` that the network classifies correctly."""
    folder = folder or cache_folder() / "benchmarks"
    key = hashlib.sha256(f"{attack} {attack.count} {SEED}".encode())
    key.update(clean.images.tobytes())
    for parameter in module.state_dict().values():
        key.update(parameter.cpu().numpy().tobytes())
    stem = attack.name.lower().replace(" ", "-").replace("/", "-").replace("κ=", "k")
    path = folder / f"{clean.name}-{stem}-{key.hexdigest()[:16]}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        started, perturbed = _run(module, clean, attack)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(partial, started=started, perturbed=perturbed, tried=attack.count)
        partial.replace(path)
    with np.load(path) as stored:
        images, tried = stored["perturbed"], int(stored["tried"])
        change = (images - stored["started"]).reshape(len(images), -1)
    return EvaluationSet(
        attack.name,
        images,
        tried,
        float(np.linalg.norm(change, axis=1).mean()),
        float(np.abs(change).max(axis=1).mean()),
    )


def _run(module: nn.Module, clean: ImageSet, attack: Attack) -> tuple[np.ndarray, np.ndarray]:
    import foolbox

    torch.manual_seed(SEED)
    images, labels = _correct(module, clean, attack.count)
    target = foolbox.PyTorchModel(module.eval(), bounds=(0, 1), device="cpu")
    method, started, perturbed = attack.method(), [], []
    for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        _, found, success = method(target, x, y, epsilons=attack.epsilon)
        success &= found.flatten(1).any(dim=1)  # foolbox hands back a black image where Carlini-Wagner fails
        started.append(x[success])
        perturbed.append(found[success].detach())
    return torch.cat(started).numpy(), torch.cat(perturbed).numpy()


@torch.no_grad()
def _correct(module: nn.Module, clean: ImageSet, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = torch.from_numpy(clean.floats()), torch.from_numpy(clean.labels)
    right = torch.cat([module(x).argmax(1) for x in images.split(500)]) == labels
    return images[right][:count], labels[right][:count]
