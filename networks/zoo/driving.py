"""The driving network: a camera frame in, scores of seven steering angles out."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from .classifiers import _ConvNormRelu
from .steering import STEERING, WEIGHTS, trained_file


class DriveNet(nn.Module):
    """Four convolutions of stride 2 and two dense layers, 61 k parameters.

    Input (batch, 3, 84, 96) float32 in [0, 1]; output (batch, 7) logits, one per angle of `STEERING`.
    """

    def __init__(self, width: int = 16):
        super().__init__()
        self.conv1 = _ConvNormRelu(3, width, stride=2)
        self.conv2 = _ConvNormRelu(width, 2 * width, stride=2)
        self.conv3 = _ConvNormRelu(2 * width, 2 * width, stride=2)
        self.conv4 = _ConvNormRelu(2 * width, 2 * width, stride=2)
        self.dense1 = nn.Linear(2 * width * 6 * 6, 32)
        self.relu = nn.ReLU()
        self.dense2 = nn.Linear(32, len(STEERING))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv4(self.conv3(self.conv2(self.conv1(x))))
        return self.dense2(self.relu(self.dense1(x.flatten(1))))


def trained_drive_net(folder: Path = WEIGHTS) -> DriveNet:
    """The trained network in eval mode, by default the shipped one. Raises FileNotFoundError without its file."""
    module = DriveNet()
    module.load_state_dict(load_file(trained_file(folder / "drive.safetensors")))
    return module.eval()
