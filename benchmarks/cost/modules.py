"""PyTorch modules: `python -m benchmarks.cost.modules` prints what it costs to watch one while it runs.

A frame through `TorchNetwork.observe` is timed beside the bare module and, for taps on modules, beside hooks by hand
that make the same channel means and copy them out. Medians of alternated runs in one process, on one thread; ratios are
medians of paired ratios. ``--device cuda`` runs the same on an accelerator.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from outrider.networks import TorchNetwork, torchvision_classifier
from outrider.networks.cost import paired, ratio

from ..results import keep
from ..tables import show
from . import tables

ROUNDS = {"LeNet": 4000, "ResNet-18": 150}


class LeNet(nn.Module):
    """LeCun et al., 1998, with ReLU and max pooling: as modules, or all called as functions."""

    def __init__(self, functions: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.dense1, self.dense2, self.dense3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        self.relus = nn.ModuleList([] if functions else [nn.ReLU() for _ in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        relus: list[Callable[[Tensor], Tensor]] = list(self.relus) or [functional.relu] * 4
        x = functional.max_pool2d(relus[0](self.conv1(x)), 2)
        x = functional.max_pool2d(relus[1](self.conv2(x)), 2)
        x = relus[2](self.dense1(x.flatten(1)))
        return self.dense3(relus[3](self.dense2(x)))


class CalledRelu(nn.Module):
    """Stands for a ReLU module in torchvision's ResNet: the block calls the function itself."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = block.conv1, block.bn1, block.conv2, block.bn2
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


def networks() -> dict[tuple[str, str], tuple[nn.Module, tuple[int, ...]]]:
    """The modules by name and by what is tapped of them, and the shape of a frame."""
    resnet = torchvision_classifier("resnet18")
    called = copy.deepcopy(resnet)
    for stage in (called.layer1, called.layer2, called.layer3, called.layer4):
        for i, block in enumerate(stage):
            stage[i] = CalledRelu(block)
    return {
        ("LeNet", "modules"): (LeNet(functions=False), (1, 28, 28)),
        ("LeNet", "functions"): (LeNet(functions=True), (1, 28, 28)),
        ("ResNet-18", "modules"): (resnet, (3, 224, 224)),
        ("ResNet-18", "functions"): (called, (3, 224, 224)),
    }


class ByHand:
    """Hooks that stay on a module, each making the channel means of a map."""

    def __init__(self, module: nn.Module, names: list[str]) -> None:
        self._module, self._seen = module, list[Tensor]()
        for name in dict.fromkeys(name.partition("#")[0] for name in names):
            module.get_submodule(name).register_forward_hook(self._take)

    def _take(self, _part: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._seen.append(output.mean((2, 3)) if output.ndim == 4 else output)

    def __call__(self, frame: Tensor) -> list[np.ndarray]:
        self._seen.clear()
        with torch.inference_mode():
            output = self._module(frame)
            return [value.float().contiguous().cpu().numpy() for value in (*self._seen, output)]


def measured(name: str, tapped: str, module: nn.Module, shape: tuple[int, ...], device: str) -> dict[str, Any]:
    module = module.eval().to(device)
    frame = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    network = TorchNetwork(copy.deepcopy(module), shape, taps="auto")
    done = torch.cuda.synchronize if device == "cuda" else lambda: None

    def bare() -> None:
        with torch.inference_mode():
            module(frame).cpu()
        done()

    candidates: dict[str, Callable[[], object]] = {"bare": bare, "observed": lambda: network.observe(frame)}
    if tapped == "modules":
        by_hand = ByHand(copy.deepcopy(module), [tap.name for tap in network.taps[:-1]])
        candidates["by hand"] = lambda: by_hand(frame)
    with torch.inference_mode():
        exact = torch.equal(network.observe(frame).output, module(frame))
    times = paired(candidates, ROUNDS[name])
    added = float(np.median(times["observed"] - times["bare"]) * 1e6)
    row: dict[str, Any] = {
        "network": name, "taps on": tapped, "taps": len(network.taps) - 1, "device": device, "bit-equal": exact,
        "bare us": float(np.median(times["bare"]) * 1e6), "added us": added,
        "times bare": ratio(times, "observed", "bare"),
    }  # fmt: skip
    if tapped == "modules":
        row["times by hand"] = ratio(times, "observed", "by hand")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--keep", action="store_true", help="write the raw figures to benchmarks/results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = [measured(*key, *net, options.device) for key, net in networks().items()]
    figures = {"modules": rows}
    if options.keep:
        keep("modules", figures)
    show(tables.modules(figures))


if __name__ == "__main__":
    main()
