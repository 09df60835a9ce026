"""The recorded drive of a model car, and a small network of ours that learns to steer from its first part.

The drive is a tub of donkeycar: an archive with `catalog_0.catalog`, a line of JSON for each frame, and `images/`.
"""

from __future__ import annotations

import io
import json
import math
import tarfile
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

FPS = 20
"""Frames a second, the rate of donkeycar's loop. The times in the catalogue are those of a copy, 3 ms apart."""
_CATALOGUE = "catalog_0.catalog"
_BATCH = 32


class CarDrive(NamedTuple):
    """A drive in the order of time. pictures: (n, height, width, 3) uint8. angles: (n,) float32, from -1 to 1."""

    pictures: np.ndarray
    angles: np.ndarray

    def part(self, start: int, stop: int) -> CarDrive:
        """Some of the frames."""
        return CarDrive(self.pictures[start:stop], self.angles[start:stop])

    def turned(self, start: int) -> CarDrive:
        """The drive as a ring that begins at another frame: what came before stands behind its end."""
        return CarDrive(*(np.roll(part, -start, axis=0) for part in self))


def read_drive(archive: Path) -> CarDrive:
    """The frames and steering angles of a tub in a .tar.gz file. Raises KeyError for one without a catalogue."""
    with tarfile.open(archive) as files:
        found = {Path(name).name: name for name in files.getnames() if not Path(name).name.startswith(".")}

        def content(name: str) -> bytes:
            stored = files.extractfile(found[name])
            if stored is None:
                raise KeyError(f"{archive}: expected a file {name}, got a folder")
            return stored.read()

        rows = [json.loads(line) for line in content(_CATALOGUE).decode().splitlines()]
        rows.sort(key=lambda row: row["_index"])
        pictures = [Image.open(io.BytesIO(content(row["cam/image_array"]))).convert("RGB") for row in rows]
    angles = np.array([row["user/angle"] for row in rows], np.float32)
    return CarDrive(np.stack([np.asarray(picture) for picture in pictures]), angles)


def as_input(pictures: np.ndarray) -> np.ndarray:
    """Pictures (n, height, width, 3) uint8 as the network takes them: half the size, channels first, from 0 to 1.

    Each number is the mean of 2 x 2 pixels: (n, 3, height / 2, width / 2) float32.
    """
    n, height, width, _ = pictures.shape
    blocks = pictures.reshape(n, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    return np.ascontiguousarray(np.moveaxis(blocks, -1, 1)) / np.float32(255)


class SteerNet(nn.Module):
    """Four convolutions and two dense layers: pictures (batch, 3, height, width) in [0, 1] to angles (batch, 1)."""

    def __init__(self, height: int = 60, width: int = 80) -> None:
        super().__init__()
        sizes = ((3, 24, 2), (24, 32, 2), (32, 48, 2), (48, 64, 1))
        self.convs = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.BatchNorm2d(b), nn.ReLU()) for a, b, stride in sizes)
        )
        self.drop = nn.Dropout(0.3)
        places = math.prod(math.ceil(size / 8) for size in (height, width))
        self.dense = nn.Linear(64 * places, 64)
        self.relu = nn.ReLU()
        self.out = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.relu(self.dense(self.drop(self.convs(x).flatten(1)))))


def trained(drive: CarDrive, epochs: int = 15, seed: int = 0) -> SteerNet:
    """A network in eval mode that learned the angles of a drive, from pictures that are mirrored, lit and noisy."""
    torch.manual_seed(seed)
    pictures = torch.from_numpy(as_input(drive.pictures))
    net = SteerNet(*pictures.shape[2:])
    angles = torch.from_numpy(drive.angles)[:, None]
    steps = epochs * math.ceil(len(pictures) / _BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(pictures)).split(_BATCH):
            seen, angle = pictures[rows], angles[rows]
            mirrored = (torch.rand(len(rows)) < 0.5)[:, None]
            seen = torch.where(mirrored[:, :, None, None], seen.flip(3), seen)
            light, noise = 0.8 + 0.4 * torch.rand(len(rows), 1, 1, 1), 0.05 * torch.randn(len(rows), 1, 1, 1)
            error = net((seen * light + noise).clamp(0, 1)) - torch.where(mirrored, -angle, angle)
            optimizer.zero_grad()
            (error**2).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()


def exported(net: SteerNet, height: int = 60, width: int = 80) -> bytes:
    """The network as an ONNX model, which takes one frame or several."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        path = Path(folder) / "car.onnx"
        example = torch.zeros(1, 3, height, width)
        torch.onnx.export(
            net, (example,), str(path), input_names=["picture"], output_names=["angle"], dynamo=False,
            dynamic_axes={"picture": {0: "n"}},
        )  # fmt: skip
        return path.read_bytes()
