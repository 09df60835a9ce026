"""ESPNet, a small segmenter (Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions", ECCV 2018).

The module is written from the paper. Its parts carry the names that the published weights carry.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = "espnet_p2_q8_camvid.safetensors"
CLASSES = 12
EPSILON = 1e-3  # of every batch normalisation
DILATIONS = (1, 2, 4, 8, 16)


def trained_espnet(folder: Path) -> ESPNet:
    """ESPNet with the weights for CamVid in `folder`, in evaluation mode. Raises FileNotFoundError without them."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"expected the weights of ESPNet at {path}; name the folder that holds {WEIGHTS}")
    module = ESPNet()
    stored = load_file(path)
    module.load_state_dict(stored, strict=False)
    lacking = set(module.state_dict()) ^ set(stored)
    if any(not name.endswith("num_batches_tracked") for name in lacking):
        raise ValueError(f"expected the parts of ESPNet (p=2, q=8) in {path}, got others: {sorted(lacking)[:5]}")
    return module.eval()


class ESPNet(nn.Module):
    """Images (n, 3, h, w), h and w multiples of 8, to class scores (n, 12, h, w)."""

    def __init__(self, classes: int = CLASSES, p: int = 2, q: int = 8):
        super().__init__()
        self.encoder = Encoder(classes, p, q)
        self.level3_C = Convolution(131, classes, 1)
        self.br = normalised(classes)
        self.conv = Activated(19 + classes, classes, 3)
        self.up_l3 = nn.Sequential(twice_as_large(classes))
        self.combine_l2_l3 = nn.Sequential(Normalised(2 * classes), Pyramid(2 * classes, classes))
        self.up_l2 = nn.Sequential(twice_as_large(classes), Normalised(classes))
        self.classifier = twice_as_large(classes)

    def forward(self, images: Tensor) -> Tensor:
        half, quarter, eighth = self.encoder(images)
        coarse = self.up_l3(self.br(self.encoder.classifier(eighth)))
        joined = self.combine_l2_l3(torch.cat([self.level3_C(quarter), coarse], 1))
        return self.classifier(self.conv(torch.cat([self.up_l2(joined), half], 1)))


class Encoder(nn.Module):
    """Images to the maps at strides 2 (19 channels), 4 (131) and 8 (256)."""

    def __init__(self, classes: int, p: int, q: int):
        super().__init__()
        self.level1 = Activated(3, 16, 3, stride=2)
        self.sample1 = nn.AvgPool2d(3, stride=2, padding=1)
        self.sample2 = nn.Sequential(*[nn.AvgPool2d(3, stride=2, padding=1) for _ in range(2)])
        self.b1 = Normalised(16 + 3)
        self.level2_0 = SmallerPyramid(16 + 3, 64)
        self.level2 = nn.ModuleList([ResidualPyramid(64) for _ in range(p)])
        self.b2 = Normalised(128 + 3)
        self.level3_0 = SmallerPyramid(128 + 3, 128)
        self.level3 = nn.ModuleList([ResidualPyramid(128) for _ in range(q)])
        self.b3 = Normalised(256)
        self.classifier = Convolution(256, classes, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.b1(torch.cat([self.level1(images), self.sample1(images)], 1))
        first = x = self.level2_0(half)
        for block in self.level2:
            x = block(x)
        quarter = self.b2(torch.cat([x, first, self.sample2(images)], 1))
        first = x = self.level3_0(quarter)
        for block in self.level3:
            x = block(x)
        return half, quarter, self.b3(torch.cat([first, x], 1))


def normalised(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)


def twice_as_large(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


class Convolution(nn.Module):
    """A convolution without bias that keeps the size where its stride is 1."""

    def __init__(self, of: int, to: int, size: int, stride: int = 1, dilation: int = 1):
        super().__init__()
        padding = (size - 1) // 2 * dilation
        self.conv = nn.Conv2d(of, to, size, stride, padding=padding, dilation=dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Normalised(nn.Module):
    """Batch normalisation, then PReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.bn = normalised(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class Activated(nn.Module):
    """Convolution, batch normalisation, PReLU."""

    def __init__(self, of: int, to: int, size: int, stride: int = 1):
        super().__init__()
        self.conv = Convolution(of, to, size, stride).conv
        self.bn = normalised(to)
        self.act = nn.PReLU(to)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Pyramid(nn.Module):
    """Reduce the channels, convolve at five dilations, sum step by step and join the sums (figure 1 of the paper)."""

    def __init__(self, of: int, to: int, size: int = 1, stride: int = 1):
        super().__init__()
        each = to // len(DILATIONS)
        first = to - each * (len(DILATIONS) - 1)
        self.c1 = Convolution(of, each, size, stride)
        for dilation in DILATIONS:
            setattr(self, f"d{dilation}", Convolution(each, first if dilation == 1 else each, 3, dilation=dilation))
        self.bn = self.ending(to)

    def ending(self, channels: int) -> nn.Module:
        return Normalised(channels)

    def joined(self, x: Tensor) -> Tensor:
        x = self.c1(x)
        total = self.d2(x)
        parts = [self.d1(x), total]
        for dilation in DILATIONS[2:]:
            total = total + getattr(self, f"d{dilation}")(x)
            parts.append(total)
        return torch.cat(parts, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.joined(x))


class ResidualPyramid(Pyramid):
    """A pyramid whose input is added to what it makes."""

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x + self.joined(x))


class SmallerPyramid(Pyramid):
    """A pyramid that halves the size."""

    def __init__(self, of: int, to: int):
        super().__init__(of, to, size=3, stride=2)
        self.act = nn.PReLU(to)

    def ending(self, channels: int) -> nn.Module:
        return normalised(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(super().forward(x))
