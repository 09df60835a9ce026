"""A classifier cut in parts that share its weights, as other libraries want it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from outrider.networks import LeNet, SmallResNet

from ..photographs import Enlarged


@dataclass(frozen=True)
class Parts:
    """A chain of stages that ends in feature maps, a neck that makes features of these, and a linear layer."""

    stages: list[nn.Module]
    neck: nn.Module
    last: nn.Linear

    @property
    def backbone(self) -> nn.Module:
        return nn.Sequential(*self.stages)

    @property
    def encoder(self) -> nn.Module:
        return nn.Sequential(*self.stages, self.neck)

    @property
    def head(self) -> nn.Module:
        return nn.Sequential(self.neck, self.last)

    @property
    def whole(self) -> nn.Sequential:
        return nn.Sequential(*self.stages, self.neck, self.last)

    @property
    def layers(self) -> list[int]:
        """The places in `whole` that detectors of several layers read: every stage and the neck."""
        return list(range(len(self.stages) + 1))

    def pooled(self, x: Tensor) -> list[Tensor]:
        """The means of the channels of every stage, (n, channels) each, and the features behind the neck."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x.mean((2, 3)))
        return [*found, self.neck(x)]


def parts(module: nn.Module) -> Parts:
    """The parts of a network of these benchmarks. Raises TypeError for another module."""
    if isinstance(module, LeNet):
        stages = [
            nn.Sequential(module.conv1, module.relu1),
            nn.Sequential(module.pool, module.conv2, module.relu2),
            nn.Sequential(module.pool, module.conv3, module.relu3),
        ]
        return Parts(stages, nn.Sequential(nn.Flatten(), module.dense1, module.relu4), module.dense2)
    if isinstance(module, SmallResNet):
        stages = [
            nn.Sequential(_Centre(), module.stem), module.down1, module.block1, module.down2, module.block2,
        ]  # fmt: skip
        return Parts(stages, nn.Sequential(module.pool, nn.Flatten()), module.dense)
    if isinstance(module, Enlarged):
        blocks = list(module.features)
        cuts = (0, 2, 4, 7, 14, len(blocks))  # where the maps become smaller
        stages = [nn.Sequential(*blocks[a:b]) for a, b in pairwise(cuts)]
        stages[0] = nn.Sequential(_Enlarge(module), *stages[0])
        return Parts(stages, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), module.head)
    raise TypeError(f"expected LeNet, SmallResNet or Enlarged, got {type(module).__name__}: say here how it is cut")


class _Centre(nn.Module):
    """What SmallResNet does to its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 4 - 2


class _Enlarge(nn.Module):
    """What Enlarged does to its input."""

    mean: Tensor
    std: Tensor

    def __init__(self, module: Enlarged):
        super().__init__()
        self.register_buffer("mean", module.get_buffer("mean"))
        self.register_buffer("std", module.get_buffer("std"))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=3, mode="bilinear")
        return (x - self.mean) / self.std


def numbers_of(module: nn.Module) -> list[torch.Tensor]:
    """Parameters and buffers, in the order of their names."""
    return [value for _, value in sorted(module.state_dict().items())]
