"""Kinds of alarms on driving frames: `python -m benchmarks.places.kinds_driving --data C --models M --dirt D --keep`.

ESPNet with its published weights is watched at its default places and, as witnesses that do not vote, at the channel
means of each size of map. Its profile is of CamVid's train frames, its threshold and the kinds are of val. The
conditions are test frames, of drives that are in neither: spoiled, with mud and dirt of photographs on the lens, with
noise of signs, attacked along gradients, and CamVid-OOD's frames with an animal. Nothing was chosen on these figures.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from outrider.monitor import LargestArea, Monitor, OutriderWarning
from outrider.networks import TorchNetwork
from outrider.runtime.evaluation import corrupted, faulty

from ..results import keep
from ..tables import show
from . import kinds_tables as tables
from .camvid import DEVIATION, Frames, espnet_inputs, read_frames
from .dirt import laid_over, read_pieces
from .espnet import trained_espnet
from .kinds import SEVERITY, Condition, rows

RATE = 0.1
EVERY, ATTACKED = 4, 10
"""One test frame in so many is judged, and at most so many are attacked along gradients."""
EXAMPLES = 16
CORRUPTIONS = (
    "gaussian_noise", "defocus_blur", "motion_blur", "fog", "brightness", "contrast", "pixelate", "jpeg_compression",
)  # fmt: skip
FAULTS = "dead-rows", "dead-columns", "noise-bands", "channel-lost", "over-exposed", "under-exposed", "bits-shifted"
SIGNS = 2, 4, 8
SHARES = (0.1,)
_BATCH = 4


def conditions(folder: Path, dirt: Path, module: nn.Module) -> Iterator[Condition]:
    """The test conditions, clean frames first."""
    clean = read_frames(folder, "test", EVERY)
    yield Condition("clean", "", "clean", espnet_inputs(clean.images))
    for name in CORRUPTIONS:
        yield _changed(
            clean, name.replace("_", " "), "corruptions", lambda x, i, name=name: corrupted(x, name, SEVERITY, i)
        )
    for name in FAULTS:
        yield _changed(clean, name, "faults", lambda x, i, name=name: faulty(x, name, i))
    rng = np.random.default_rng(0)
    for piece_name, piece in read_pieces(dirt).items():
        for share in SHARES:
            images = [laid_over(x, piece, share, tuple(rng.random(2)), blur=2.0).picture for x in clean.images]
            yield Condition(f"{piece_name}, {share:.0%}", "sensor", "mud and dirt", espnet_inputs(np.stack(images)))
    for level in SIGNS:
        moved = clean.images + level * rng.choice(np.array([-1, 1], np.int16), clean.images.shape)
        noisy = espnet_inputs(np.clip(moved, 0, 255).astype(np.uint8))
        yield Condition(f"signs {level}/255", "adversarial", "noise of signs", noisy)
    some = espnet_inputs(clean.images[:: max(1, len(clean) // ATTACKED)])
    for steps, name in ((1, "FGSM 4/255"), (5, "PGD 4/255")):
        yield Condition(name, "adversarial", "attacks along gradients", attacked(module, some, 4, steps))
    yield Condition("animals", "unfamiliar", "CamVid-OOD", espnet_inputs(read_frames(folder, "test_ood", EVERY).images))


def _changed(clean: Frames, name: str, group: str, change: Any) -> Condition:
    """A condition of the frames, each changed by `change` of a picture (3, h, w) uint8 and its number."""
    images = [
        change(np.ascontiguousarray(x.transpose(2, 0, 1)), i).transpose(1, 2, 0) for i, x in enumerate(clean.images)
    ]
    return Condition(name, "sensor", group, espnet_inputs(np.stack(images)))


def attacked(module: nn.Module, inputs: np.ndarray, level: float, steps: int) -> np.ndarray:
    """Inputs moved along the sign of the gradient, away from what the network sees in the clean ones.

    Each pixel moves by at most `level` of 255. One step is FGSM (Goodfellow et al., ICLR 2015), several are projected
    gradient descent (Madry et al., ICLR 2018) of 2.5 level / steps each.
    """
    radius = torch.from_numpy(level / DEVIATION / 255).view(3, 1, 1)
    stride = radius if steps == 1 else radius * (2.5 / steps)
    found = []
    for x in torch.from_numpy(inputs).split(1):
        with torch.no_grad():
            seen = module(x).argmax(1)
        moved = x.clone()
        for _ in range(steps):
            moved.requires_grad_()
            (gradient,) = torch.autograd.grad(functional.cross_entropy(module(moved), seen), moved)
            moved = (moved.detach() + stride * gradient.sign()).clamp(x - radius, x + radius)
        found.append(moved.numpy())
    return np.concatenate(found)


def taught(folder: Path, module: nn.Module) -> Monitor:
    """The monitor, which has learned kinds on the frames that set its threshold."""
    train, val = read_frames(folder, "train"), read_frames(folder, "val")
    network = TorchNetwork(module, (3, *train.images.shape[1:3]), classes="pixel", taps=["places", "stages"])
    monitor = Monitor(network, logic=LargestArea())

    def batches(frames: Frames) -> Iterator[np.ndarray]:
        return (espnet_inputs(frames.images[i : i + _BATCH]) for i in range(0, len(frames), _BATCH))

    monitor.profile(batches(train))
    monitor.calibrate(batches(val), RATE, accept_rate=1)
    monitor.learn_kinds(batches(val), examples=EXAMPLES, progress=lambda done: print(f"\r{done} frames", end=""))
    print()
    return monitor


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of CamVid's frames")
    parser.add_argument("--models", type=Path, required=True, help="the folder of ESPNet's weights")
    parser.add_argument("--dirt", type=Path, required=True, help="the folder of LaREx's photographs of dirt")
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", OutriderWarning)
    module = trained_espnet(options.models)
    monitor = taught(options.data, module)
    figures = {
        "title": "ESPNet on CamVid",
        "rate": RATE,
        "learned": monitor.describe()["calibration"]["kinds"],
        "rows": rows(monitor, conditions(options.data, options.dirt, module), batch=_BATCH),
    }
    show(tables.kinds(figures))
    if options.keep:
        keep("kinds-espnet", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
