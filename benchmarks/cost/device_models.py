"""Networks of torchvision with random weights, and monitors of them that have seen every class, for `device`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from outrider.monitor import Monitor
from outrider.networks import TorchNetwork, import_torchvision

CLASSES = 1000
FRAMES = 48
_LEARNED, _SAMPLES = 50, 4


def network_of(name: str, device: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A classifier of 1,000 classes with random weights, in eval mode; of half precision with the channels last."""
    torch.manual_seed(0)
    module: nn.Module = getattr(import_torchvision().models, name)(weights=None, num_classes=CLASSES).eval()
    module.requires_grad_(False)
    for part in module.modules():  # norms that were never trained do not keep sums of blocks within half precision
        if hasattr(part, "bn3"):
            torch.nn.init.constant_(part.bn3.weight, 0.2)
    return module.to(device, dtype, memory_format=torch.channels_last if device == "cuda" else torch.contiguous_format)


def frames_of(n: int, device: str, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    frames = torch.from_numpy(rng.random((n, 3, 224, 224), dtype=np.float32)).to(device, dtype)
    return frames.to(memory_format=torch.channels_last) if device == "cuda" else frames


def monitor_of(module: nn.Module, criteria: Any = None) -> Monitor:
    """A calibrated monitor of all layers.

    A network with random weights sees one class in all frames. So the signatures are of noise about what the neurons
    show, for some classes and the one that it sees, and every class counts as covered: a judge has as much to do as
    with any.
    """
    network = (
        TorchNetwork(module, (3, 224, 224)) if criteria is None else TorchNetwork(module, (3, 224, 224), taps="auto")
    )
    monitor = Monitor(network, criteria)
    rng = np.random.default_rng(0)
    batches, others = ([rng.random((8, 3, 224, 224), dtype=np.float32) for _ in range(FRAMES // 8)] for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        profile = monitor.profile(batches)
        order = {tap.id: i for i, tap in enumerate(network.taps)}
        observed = network.observe(batches[0])
        seen, first = observed.activations, int(observed.logits[0].argmax())
        signatures, known = [], dict[Any, Any]()
        for column in profile.columns:
            values = seen[order[profile.facts.taps[column.tap].id]]
            key = column.tap, column.criterion.keeps()
            if key not in known:
                known[key] = column.criterion.empty(values.shape[1], CLASSES)
                labels = np.tile((first + np.arange(_LEARNED)) % CLASSES, _SAMPLES)
                noise = np.float32(0.1) * rng.standard_normal((len(labels), values.shape[1]), np.float32)
                rows = values[np.arange(len(labels)) % len(values)]
                column.criterion.observe(known[key], rows + noise * np.abs(rows).mean(), labels)
                np.maximum(known[key].counts, 1, out=known[key].counts)
            signatures.append(known[key].shared(repr(column.criterion)))
        whole_profile = replace(profile, signatures=tuple(signatures))
        whole_profile.trusted.per_class[:] = FRAMES
        whole = Monitor.of(network, whole_profile, monitor.logic, None)
        whole.calibrate(others, false_alarm_rate=0.2)
    return whole
