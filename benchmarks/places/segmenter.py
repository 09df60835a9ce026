"""A segmenter of driving frames, trained here: `python -m benchmarks.places.segmenter DATA` trains it once.

torchvision's MobileNetV2 with its ImageNet weights, dilated to stride 16, under torchvision's LR-ASPP head. It learns
CamVid's 11 classes from the 92 training frames. Its weights stay in the cache, and a broken run goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from outrider.networks import cache_folder, import_torchvision

from ..onnx_models import IMAGENET, trained_mobilenet
from ..results import keep
from ..tables import show
from .camvid import VOID, Frames, read_frames
from .segmentation_tables import accuracy

CLASS_NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
CLASSES = len(CLASS_NAMES)
EPOCHS, BATCH, CROP, PEAK_RATE, SEED = 120, 8, (192, 256), 0.02, 0
KEPT = 10  # epochs after which the state of a run is kept


class Stages(nn.Module):
    """The features of MobileNetV2 as LR-ASPP takes them: `low` at stride 8, 32 channels, `high` at 16, 1,280."""

    def __init__(self, features: nn.Sequential):
        super().__init__()
        self.features = features
        for block in features[14:18]:  # the last stride becomes a dilation
            depthwise = block.conv[1][0]
            depthwise.dilation, depthwise.padding = ((1, 1), (1, 1)) if depthwise.stride == (2, 2) else ((2, 2), (2, 2))
            depthwise.stride = (1, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        low = self.features[:7](x)
        return {"low": low, "high": self.features[7:](low)}


class Segmenter(nn.Module):
    """Class scores (batch, 11, height, width) of pictures (batch, 3, height, width) float32, RGB in [0, 1]."""

    def __init__(self, features: nn.Sequential):
        super().__init__()
        lraspp = import_torchvision().models.segmentation.LRASPP
        self.net = lraspp(Stages(features), low_channels=32, high_channels=1280, num_classes=CLASSES)
        self.register_buffer("mean", torch.tensor(IMAGENET.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET.std)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x - self.mean) / self.std)["out"]


def segmenter_inputs(images: np.ndarray) -> np.ndarray:
    """RGB images (n, height, width, 3) uint8 as the network takes them: (n, 3, height, width) float32 in [0, 1]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / 255


def segmenter(frames: Frames) -> Segmenter:
    """The network trained on frames with labels.

    It is trained once for each set of frames, in about 20 minutes of one core, and then comes from the cache. Raises
    FileNotFoundError where the ImageNet weights were not fetched.
    """
    images, labels = frames.images.transpose(0, 3, 1, 2), frames.labels
    module = Segmenter(trained_mobilenet().features)
    digest = hashlib.sha256(repr((EPOCHS, BATCH, CROP, PEAK_RATE, SEED)).encode())
    for array in (images, labels):
        digest.update(np.ascontiguousarray(array).tobytes())
    path = cache_folder() / "benchmarks" / f"segmenter-{digest.hexdigest()[:16]}.safetensors"
    if path.is_file():
        module.load_state_dict(load_file(path))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        train(module, *map(torch.from_numpy, (images, labels)), path.with_suffix(".partial"))
        _save(module.state_dict(), path)
        path.with_suffix(".partial").unlink(missing_ok=True)
    return module.eval()


def train(module: Segmenter, images: Tensor, labels: Tensor, partial: Path) -> None:
    """SGD with a one-cycle rate over random crops. `partial` keeps the state now and then."""
    head = list(module.net.classifier.parameters())
    groups = [{"params": list(module.net.backbone.parameters()), "lr": PEAK_RATE}, {"params": head, "lr": PEAK_RATE}]
    optimiser = torch.optim.SGD(groups, momentum=0.9, weight_decay=4e-4, nesterov=True)
    weights = class_weights(labels)
    steps = len(images) // BATCH
    began = resumed(module, optimiser, partial)
    for epoch in range(began, EPOCHS):
        torch.manual_seed(SEED + epoch)
        module.train()
        order, total, started = torch.randperm(len(images)), 0.0, time.monotonic()
        for step in range(steps):
            rate = one_cycle((epoch * steps + step) / (EPOCHS * steps))
            optimiser.param_groups[0]["lr"], optimiser.param_groups[1]["lr"] = rate * 0.3, rate
            pairs = [augmented(images[i], labels[i]) for i in order[step * BATCH : (step + 1) * BATCH].tolist()]
            x = torch.stack([picture for picture, _ in pairs]).to(memory_format=torch.channels_last)
            y = torch.stack([label for _, label in pairs])
            loss = functional.cross_entropy(module(x), y, weights, ignore_index=VOID)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {total / steps:.3f}, {time.monotonic() - started:.0f} s", flush=True)
        if (epoch + 1) % KEPT == 0:
            velocity = {
                f"velocity.{k}": optimiser.state[p]["momentum_buffer"] for k, p in enumerate(module.parameters())
            }
            _save({**module.state_dict(), **velocity, "epoch": torch.tensor(epoch + 1)}, partial)


def resumed(module: Segmenter, optimiser: torch.optim.Optimizer, partial: Path) -> int:
    """The epoch to go on with: 0, or the one after the state that `partial` keeps."""
    if not partial.is_file():
        return 0
    state = load_file(partial)
    for k, parameter in enumerate(module.parameters()):
        optimiser.state[parameter]["momentum_buffer"] = state.pop(f"velocity.{k}")
    epoch = int(state.pop("epoch"))
    module.load_state_dict(state)
    return epoch


def one_cycle(done: float) -> float:
    """The rate where a share of the steps is done: up over the first tenth, then down along a cosine."""
    return PEAK_RATE * (done / 0.1 if done < 0.1 else 0.5 * (1 + np.cos(np.pi * (done - 0.1) / 0.9)))


def class_weights(labels: Tensor) -> Tensor:
    """The fourth root of how rare a class is, 1 in the mean: rare classes count for more."""
    share = torch.bincount(labels.flatten().long(), minlength=CLASSES)[:CLASSES].double()
    weight = (share.sum() / share.clamp(min=1)) ** 0.25
    return (weight / weight.mean()).float()


def augmented(picture: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """A crop at a random scale of 0.6 to 1.6, mirrored or not, with brightness, contrast and colour moved."""
    scale = 0.6 * (1.6 / 0.6) ** torch.rand(()).item()
    sides = [min(round(crop / scale), size) for crop, size in zip(CROP, label.shape, strict=True)]
    top, left = (int(torch.randint(0, size - side + 1, ())) for size, side in zip(label.shape, sides, strict=True))
    window = ..., slice(top, top + sides[0]), slice(left, left + sides[1])
    x = picture[window][None].float() / 255
    x = functional.interpolate(x, CROP, mode="bilinear", antialias=True)[0]
    y = functional.interpolate(label[window][None, None].float(), CROP, mode="nearest-exact")[0, 0].long()
    if torch.rand(()) < 0.5:
        x, y = x.flip(-1), y.flip(-1)
    return import_torchvision().transforms.ColorJitter(0.4, 0.4, 0.4, 0.05)(x).clamp(0, 1), y


@torch.no_grad()
def confusion(module: nn.Module, frames: Frames) -> np.ndarray:
    """(11, 11) int64 pixels: rows are the class of the label, columns the class seen; void is left out."""
    table = np.zeros(CLASSES * CLASSES, np.int64)
    for i, label in enumerate(frames.labels):
        seen = module(torch.from_numpy(segmenter_inputs(frames.images[i : i + 1])))[0].argmax(0).numpy()
        known = label < VOID
        table += np.bincount(label[known].astype(np.int64) * CLASSES + seen[known], minlength=len(table))
    return table.reshape(CLASSES, CLASSES)


def _save(state: dict[str, Tensor], path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    save_file({name: value.contiguous() for name, value in state.items()}, partial)
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="CamVid's folder")
    parser.add_argument("--keep", action="store_true", help="write the raw figures for the report")
    options = parser.parse_args()
    torch.set_num_threads(1)
    module = segmenter(read_frames(options.data, "train"))
    figures = {}
    for split in ("val", "test"):
        frames = read_frames(options.data, split)
        figures[split] = {"frames": len(frames), "confusion": confusion(module, frames).tolist()}
    figures["classes"] = list(CLASS_NAMES)
    show(accuracy(figures))
    if options.keep:
        keep("segmenter", figures)


if __name__ == "__main__":
    main()
