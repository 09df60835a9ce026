"""Train a small network of the zoo: ``python -m outrider.networks.zoo.train resnet-cifar10 --epochs 30``.

The network never sees the last part of the training data (`HELD_OUT`), which later sets thresholds.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from .adversarial import fit_robust, has_bfloat16
from .classifiers import WEIGHTS, trained_names, untrained
from .datasets import load_dataset

HELD_OUT = {"fashion-mnist": 10_000, "cifar10": 5_000, "traffic-lights": 300}
"""How many of the last training images of each set the shipped networks never saw: they set thresholds."""


def fit(
    module: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    batch_size: int = 128,
    peak_rate: float = 0.1,
    flip: bool = False,
    shift: int = 0,
    smoothing: float = 0.0,
    bfloat16: bool | None = None,
    report=lambda _line: None,
) -> None:
    """Train by SGD with a one-cycle schedule (Smith, 2018).

    images: (n, channels, height, width) uint8. labels: (n,) int64, or (n, classes) float32 shares. flip: mirror images
    at random. shift: move images by up to so many pixels. smoothing: of the labels. bfloat16: by default where the
    processor has it; elsewhere it is ten times slower. The network is the same in every run on one machine.
    """
    torch.manual_seed(0)
    if bfloat16 is None:
        bfloat16 = has_bfloat16()
    x = torch.from_numpy(np.array(images))
    y = torch.from_numpy(np.array(labels))
    module.to(memory_format=torch.channels_last)
    matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0}]
    optimiser = torch.optim.SGD(groups, lr=peak_rate, momentum=0.9, nesterov=True)
    steps = epochs * (len(x) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_rate, total_steps=steps, pct_start=0.25)
    for epoch in range(epochs):
        module.train()
        order = torch.randperm(len(x))
        total = 0.0
        for start in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            batch = _augment(x[rows], flip, shift).float().div_(255).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = functional.cross_entropy(module(batch), y[rows], label_smoothing=smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        report(f"epoch {epoch + 1}/{epochs}: loss {total / (len(x) // batch_size):.3f}")
    module.to(memory_format=torch.contiguous_format).eval()


def _augment(batch: torch.Tensor, flip: bool, shift: int) -> torch.Tensor:
    size = batch.shape[-2:]
    if flip:
        mirrored = torch.rand(len(batch)) < 0.5
        batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
    if shift:
        batch = functional.pad(batch, (shift,) * 4)
        top, left = torch.randint(0, 2 * shift + 1, (2, len(batch)))
        corners = zip(batch, top.tolist(), left.tolist(), strict=True)
        batch = torch.stack([image[:, t : t + size[0], u : u + size[1]] for image, t, u in corners])
    return batch


@torch.no_grad()
def accuracy(module: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images, (n, channels, height, width) uint8, that the network classifies as labelled."""
    right = 0
    for start in range(0, len(images), 500):
        batch = torch.from_numpy(images[start : start + 500]).float().div_(255)
        right += int((module(batch).argmax(1).numpy() == labels[start : start + 500]).sum())
    return right / len(images)


_RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "lenet-fashion-mnist": ("fashion-mnist", {"epochs": 15, "peak_rate": 0.05, "flip": True}),
    "lenet-fashion-mnist-robust": (
        "fashion-mnist",
        {"epochs": 12, "epsilon": 0.1, "steps": 3, "peak_rate": 0.05, "shift": 0},
    ),
    "resnet-cifar10": ("cifar10", {"epochs": 40, "peak_rate": 0.2, "flip": True, "shift": 4, "smoothing": 0.05}),
    "resnet-cifar10-robust": ("cifar10", {"epochs": 54, "epsilon": 8 / 255}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=trained_names())
    parser.add_argument("--epochs", type=int, help="default: the epochs behind the shipped weights")
    parser.add_argument("--data", help="folder that holds the data set")
    parser.add_argument("--output", type=Path, help="default: where the zoo looks for weights")
    parser.add_argument("--device", default="cpu", help="of adversarial training, which wants a GPU: cuda")
    options = parser.parse_args()
    dataset, recipe = _RECIPES[options.name]
    if options.epochs:
        recipe = {**recipe, "epochs": options.epochs}
    data = load_dataset(dataset, "train", options.data)
    seen = data[: len(data) - HELD_OUT[dataset]]
    module = untrained(options.name)
    train = partial(fit_robust, device=options.device) if "epsilon" in recipe else fit
    train(module, seen.images, seen.labels, **recipe, report=lambda line: print(line, flush=True))
    test = load_dataset(dataset, "test", options.data)
    print(f"test accuracy {accuracy(module, test.images, test.labels):.4f}")
    output = options.output or WEIGHTS / f"{options.name}.safetensors"
    state = module.state_dict()
    if "epsilon" in recipe:  # shipped in half precision
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    save_file(state, output)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
