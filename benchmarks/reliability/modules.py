"""Modules: `python -m benchmarks.reliability.modules` watches every classifier of torchvision and of the zoo.

Each is opened with its default taps and random weights, and observed on two frames of noise. The output is held to that
of the bare module bit for bit, and everything the module holds to what it held before: weights, buffers, attributes and
hooks. ``--smaller N`` leaves out networks of more than N million weights.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import time
import warnings
from typing import Any

import torch
from torch import nn

from outrider.networks import TorchNetwork, import_torchvision, torchvision_classifier, trained, trained_names

from ..results import keep
from ..tables import show
from . import tables

SIDES = {"inception_v3": 299, "lenet-fashion-mnist": 28, "resnet-cifar10": 32, "vit_h_14": 224}
SIDE, CHANNELS = 224, {"lenet-fashion-mnist": 1}


def opened(name: str) -> nn.Module:
    if name in trained_names():
        return trained(name)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}  # else they warn
    return torchvision_classifier(name, **options)


def held_by(module: nn.Module) -> tuple[str, list[str]]:
    """A digest of the weights and buffers of a module, and the attributes of its parts, hooks included."""
    digest = hashlib.sha256()
    for tensor in (*module.parameters(), *module.buffers()):
        digest.update(tensor.detach().numpy().tobytes())
    return digest.hexdigest(), [repr(sorted(vars(part).items())) for part in module.modules()]


def watched(name: str, module: nn.Module) -> dict[str, Any]:
    side = SIDES.get(name, SIDE)
    frames = torch.rand(2, CHANNELS.get(name, 3), side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = copy.deepcopy(module)(frames)
    before = held_by(module)
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network = TorchNetwork(module, frames.shape[1:])
    seconds = time.perf_counter() - began
    seen = network.observe(frames)
    kinds = {tap.kind for tap in network.taps} - {"output"}
    return {
        "network": name, "taps": len(network.taps) - 1, "kinds": sorted(kinds), "seconds": seconds,
        "bit-equal": bool(torch.equal(seen.output, expected)), "unchanged": held_by(module) == before,
        "warnings": sorted({str(one.message) for one in told}),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smaller", type=float, default=150.0, metavar="N", help="millions of weights (150)")
    parser.add_argument("--only", nargs="*", help="names of networks")
    parser.add_argument("--keep", action="store_true", help="write the raw figures to benchmarks/results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = import_torchvision().models
    rows, left = [], []
    for name in options.only or (*trained_names(), *models.list_models(module=models)):
        torch.manual_seed(0)
        module = opened(name)
        if sum(weights.numel() for weights in module.parameters()) > options.smaller * 1e6:
            left.append(name)
        else:
            rows.append(watched(name, module))
    figures = {"networks": rows, "left out": left}
    if options.keep:
        keep("watched", figures)
    show(tables.watched(figures))


if __name__ == "__main__":
    main()
