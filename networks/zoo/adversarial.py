"""Adversarial training of a small network: it learns from the inputs that fool it most (Madry et al., ICLR 2018)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16; elsewhere it is ten times slower than float32."""
    has: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # an older PyTorch does not tell
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def attacked(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilon: float, steps: int, **autocast: Any
) -> torch.Tensor:
    """Images that raise the loss, by projected gradient ascent from a random start (PGD, Madry et al.).

    images: (n, channels, height, width) floats in [0, 1]. epsilon: how far each number may move. Each of the steps
    moves every number by 2.5 epsilon / steps, as there.
    """
    step = 2.5 * epsilon / steps
    moved = (images + torch.empty_like(images).uniform_(-epsilon, epsilon)).clamp_(0, 1)
    for _ in range(steps):
        moved.requires_grad_()
        with torch.autocast(images.device.type, torch.bfloat16, **autocast):
            loss = functional.cross_entropy(module(moved), labels)
        (gradient,) = torch.autograd.grad(loss, moved)
        with torch.no_grad():
            moved = moved + step * gradient.sign()
            moved = torch.maximum(torch.minimum(moved, images + epsilon), images - epsilon).clamp_(0, 1)
    return moved.detach()


def fit_robust(
    module: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epsilon: float,
    steps: int = 10,
    epochs: int = 50,
    batch_size: int = 256,
    peak_rate: float = 0.2,
    shift: int = 4,
    device: str = "cpu",
    report: Callable[[str], object] = lambda _line: None,
) -> None:
    """Train by SGD with a one-cycle schedule on attacked images, mirrored and moved by up to `shift` pixels.

    images: (n, channels, height, width) uint8. labels: (n,) int64. epsilon, steps: of the attack. device: ``cpu``, or
    an accelerator; bfloat16 is used there, and on a processor that has it. What is left in the module is the mean of
    its weights over time, which is the more robust (Gowal et al., 2020).
    """
    torch.manual_seed(0)
    fast = {"enabled": device != "cpu" or has_bfloat16()}
    x, y = torch.from_numpy(np.array(images)).to(device), torch.from_numpy(np.array(labels)).to(device)
    module.to(device)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch states no such form
    mean = copy.deepcopy(module).eval()
    matrices = [one for one in module.parameters() if one.ndim > 1]
    others = [one for one in module.parameters() if one.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0}]
    optimiser = torch.optim.SGD(groups, lr=peak_rate, momentum=0.9, nesterov=True)
    per_epoch = len(x) // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_rate, total_steps=epochs * per_epoch, pct_start=0.3)
    done = 0
    for epoch in range(epochs):
        module.train()
        order = torch.randperm(len(x), device=device)
        total = torch.zeros((), device=device)
        for start in range(0, per_epoch * batch_size, batch_size):
            rows = order[start : start + batch_size]
            batch = _augmented(x[rows], shift).float().div_(255).to(memory_format=torch.channels_last)
            batch = attacked(module, batch, y[rows], epsilon, steps, **fast)
            with torch.autocast(batch.device.type, torch.bfloat16, **fast):
                loss = functional.cross_entropy(module(batch), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.detach()
            done += 1
            _average(mean, module, min(0.999, done / (done + 10)))
        report(f"epoch {epoch + 1}/{epochs}: loss {total.item() / per_epoch:.3f}")
    module.load_state_dict(mean.state_dict())
    module.to("cpu")
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    module.eval()


@torch.no_grad()
def _average(mean: nn.Module, module: nn.Module, kept: float) -> None:
    ours, theirs = list(mean.state_dict().values()), list(module.state_dict().values())
    floats = [i for i, value in enumerate(ours) if value.is_floating_point()]
    torch._foreach_lerp_([ours[i] for i in floats], [theirs[i] for i in floats], 1 - kept)
    for i in set(range(len(ours))) - set(floats):
        ours[i].copy_(theirs[i])


def _augmented(batch: torch.Tensor, shift: int) -> torch.Tensor:
    """Each image mirrored or not, and moved."""
    n, _, height, width = batch.shape
    mirrored = torch.rand(n, device=batch.device) < 0.5
    batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
    if not shift:
        return batch
    padded = functional.pad(batch, (shift,) * 4)
    top, left = torch.randint(0, 2 * shift + 1, (2, n, 1, 1), device=batch.device)
    rows = top + torch.arange(height, device=batch.device)[None, :, None]
    columns = left + torch.arange(width, device=batch.device)[None, None, :]
    picked = padded.permute(0, 2, 3, 1)[torch.arange(n, device=batch.device)[:, None, None], rows, columns]
    return picked.permute(0, 3, 1, 2).contiguous()
