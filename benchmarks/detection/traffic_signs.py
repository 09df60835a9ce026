"""German traffic signs (GTSRB): classes left out, tracks kept apart, and a small network that this trains.

The set is free for research only and is not fetched: put `gtsrb.npz` into a folder that `OUTRIDER_DATA` names, or into
the cache. It holds `train_images` and `test_images`, (n, 32, 32, 3) uint8, their `_labels`, and `train_tracks`, which
numbers the physical sign of each frame within its class.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file
from torch import nn

from outrider.networks import ImageSet, SmallResNet, cache_folder, fit

LEFT_OUT = 10
"""Classes that the network never learns."""
HELD_OUT = 4
"""One track in so many is held out, of each class at least one."""
FEW = 150
"""A class with fewer profiled frames has few."""
EPOCHS = 30


@dataclass(frozen=True)
class Signs:
    """Frames of the classes known, numbered anew, and strange ones. tracks: (n,), of the held-out frames."""

    seen: ImageSet
    held_out: ImageSet
    tracks: np.ndarray
    test: ImageSet
    strange: ImageSet


def load_signs() -> Signs:
    """The splits. Raises FileNotFoundError, which says where the file is looked for."""
    with np.load(_file()) as stored:
        images = {split: stored[f"{split}_images"].transpose(0, 3, 1, 2) for split in ("train", "test")}
        labels = {split: stored[f"{split}_labels"].astype(np.int64) for split in ("train", "test")}
        tracks = labels["train"] * 1000 + stored["train_tracks"]
    rng = np.random.default_rng(0)
    known = np.sort(rng.permutation(labels["train"].max() + 1)[LEFT_OUT:])
    names = tuple(map(str, known))
    held = np.zeros(len(tracks), bool)
    for label in known:
        own = rng.permutation(np.unique(tracks[labels["train"] == label]))
        held |= np.isin(tracks, own[: max(1, len(own) // HELD_OUT)])

    def part(split: str, rows: np.ndarray) -> ImageSet:
        new = np.searchsorted(known, labels[split][rows])
        return ImageSet("gtsrb", np.ascontiguousarray(images[split][rows]), new, names)

    of_known = {split: np.isin(labels[split], known) for split in labels}
    return Signs(
        part("train", of_known["train"] & ~held),
        part("train", of_known["train"] & held),
        tracks[of_known["train"] & held],
        part("test", of_known["test"]),
        ImageSet("left-out classes", np.ascontiguousarray(images["test"][~of_known["test"]]), None, ()),
    )


def sign_network(signs: Signs, report: Callable[[str], object] = print) -> nn.Module:
    """`SmallResNet` trained on the profiled frames, kept in the cache under a hash of what it learns from."""
    module = SmallResNet(classes=len(signs.seen.classes))
    key = hashlib.sha256(signs.seen.images.tobytes() + str(EPOCHS).encode()).hexdigest()[:16]
    path = cache_folder() / "benchmarks" / f"gtsrb-{key}.safetensors"
    if not path.is_file():
        fit(
            module, signs.seen.images, signs.seen.labels, epochs=EPOCHS, shift=3, smoothing=0.05,
            report=lambda line: report(f"traffic signs: {line}"),
        )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(module.state_dict(), path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)
    module.load_state_dict(load_file(path))
    return module.eval()


def _file() -> Path:
    folders = [Path(os.environ[name]) for name in ("OUTRIDER_DATA",) if os.environ.get(name)]
    looked = [folder / "gtsrb.npz" for folder in (*folders, cache_folder(), cache_folder() / "gtsrb")]
    for path in looked:
        if path.is_file():
            return path
    raise FileNotFoundError(
        "expected gtsrb.npz, which is free for research and not fetched; looked for it at"
        f" {', '.join(map(str, looked))}"
    )
