"""MobileNetV2 with its ImageNet weights on CIFAR-10's photographs, which it resizes to 96 x 96.

A linear layer for their ten classes is learned once. It and the model in ONNX stay in the cache.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from outrider.networks import ImageSet, cache_folder

from ..onnx_models import IMAGENET, OPSET, trained_mobilenet


def photograph_network(data: ImageSet) -> tuple[nn.Module, Path]:
    """The network, its head learned on `data`, and the same as an ONNX file.

    Raises FileNotFoundError where the ImageNet weights were not fetched.
    """
    module = Enlarged(trained_mobilenet()).eval()
    digest = hashlib.sha256(data.images.tobytes())
    for value in module.features.state_dict().values():
        digest.update(value.numpy().tobytes())
    path = cache_folder() / "benchmarks" / f"mobilenet-{digest.hexdigest()[:16]}.onnx"
    head = path.with_suffix(".safetensors")
    if head.is_file() and path.is_file():
        module.head.load_state_dict(load_file(head))
        return module, path
    learn_head(module, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    save_file({name: value.contiguous() for name, value in module.head.state_dict().items()}, partial)
    partial.replace(head)
    export(module, partial)
    partial.replace(path)
    return module, path


class Enlarged(nn.Module):
    """MobileNetV2 for ten classes of photographs of 32 x 32, (batch, 3, 32, 32) float32 in [0, 1]."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.features = classifier.features
        self.head = nn.Linear(classifier.last_channel, 10)
        self.register_buffer("mean", torch.tensor(IMAGENET.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET.std)[:, None, None])

    def encode(self, x: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=3, mode="bilinear")
        return self.features((x - self.mean) / self.std).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encode(x))


def learn_head(module: Enlarged, data: ImageSet) -> None:
    """Logistic regression on the features of `data`, with weight decay."""
    with torch.no_grad():
        x = torch.cat([module.encode(torch.from_numpy(data[i : i + 50].floats())) for i in range(0, len(data), 50)])
    y = torch.from_numpy(data.labels)
    for parameter in module.head.parameters():
        nn.init.zeros_(parameter)
    optimiser = torch.optim.LBFGS(module.head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(module.head(x), y) + 1e-3 * module.head.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)


def export(module: nn.Module, path: Path) -> None:
    """Write the module as ONNX with an open batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            module, (torch.zeros(1, 3, 32, 32),), str(path), dynamo=False, opset_version=OPSET, input_names=["x"],
            dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip
