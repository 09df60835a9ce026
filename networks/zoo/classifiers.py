"""Reference networks: two small ones with weights, and any torchvision classifier by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"


class LeNet(nn.Module):
    """Three convolutions and two dense layers, after LeNet-5, with ReLU and max pooling.

    Input (batch, channels, size, size) float32 in [0, 1]; output (batch, classes) logits.
    """

    def __init__(self, channels: int = 1, size: int = 28, classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.dense1 = nn.Linear(64 * (size // 4) ** 2, 64)
        self.relu4 = nn.ReLU()
        self.dense2 = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu1(self.conv1(x)))
        x = self.pool(self.relu2(self.conv2(x)))
        x = self.relu3(self.conv3(x))
        return self.dense2(self.relu4(self.dense1(x.flatten(1))))


class SmallResNet(nn.Module):
    """Two residual stages (He et al., CVPR 2016) of 64 and 128 channels, 464 k parameters at width 32.

    Input (batch, channels, 32, 32) float32 in [0, 1]; output (batch, classes) logits.
    """

    def __init__(self, channels: int = 3, classes: int = 10, width: int = 32):
        super().__init__()
        self.stem = _ConvNormRelu(channels, width)
        self.down1 = _ConvNormRelu(width, 2 * width, stride=2)
        self.block1 = _Residual(2 * width)
        self.down2 = _ConvNormRelu(2 * width, 4 * width, stride=2)
        self.block2 = _Residual(4 * width)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block1(self.down1(self.stem(x * 4 - 2)))
        return self.dense(self.pool(self.block2(self.down2(x))).flatten(1))


class _ConvNormRelu(nn.Sequential):
    def __init__(self, before: int, after: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.relu = nn.ReLU()


class _Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first = _ConvNormRelu(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.second(self.first(x)))


_TRAINED: dict[str, Callable[[], nn.Module]] = {
    "lenet-fashion-mnist": LeNet,
    "lenet-fashion-mnist-robust": LeNet,  # adversarially trained
    "resnet-cifar10": SmallResNet,
    "resnet-cifar10-robust": partial(SmallResNet, width=64),  # adversarially trained, 1.8 M parameters
}


def trained_names() -> tuple[str, ...]:
    """The networks that `trained` loads."""
    return tuple(_TRAINED)


def untrained(name: str) -> nn.Module:
    """The module of a name in `trained_names`, with fresh weights. Raises ValueError for another name."""
    if name not in _TRAINED:
        raise ValueError(f"expected a network among {', '.join(_TRAINED)}, got {name!r}")
    return _TRAINED[name]()


def trained(name: str) -> nn.Module:
    """A small network in eval mode, with the weights of its training script.

    Raises ValueError for an unknown name, FileNotFoundError when its weights were not shipped.
    """
    module = untrained(name)
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}; make them with `python -m outrider.networks.zoo.train {name}`")
    module.load_state_dict(load_file(path))
    return module.eval()


def torchvision_classifier(name: str, weights: str | None = None, **options: Any) -> nn.Module:
    """Any torchvision classifier in eval mode. weights: None, 'DEFAULT' or the path of a state dict in safetensors.

    Raises ImportError without torchvision, ValueError for a name that torchvision does not know.
    """
    from ..pytorch.torchvision_import import import_torchvision

    models = import_torchvision().models
    if name not in models.list_models(module=models):
        raise ValueError(f"expected a torchvision classifier such as 'resnet18', got {name!r}")
    if weights is None or not weights.endswith(".safetensors"):
        return models.get_model(name, weights=weights, **options).eval()
    module = models.get_model(name, weights=None, **options)
    module.load_state_dict(load_file(weights))
    return module.eval()
