"""CamVid's driving frames with their labels, and the test frames with an animal in each (CamVid-OOD of ObsNet).

The folder holds `train`, `val`, `test` and `test_ood` with frames, and `trainannot` and so on with label maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

MEAN = np.float32([109.78, 107.81, 104.42])  # of blue, green, red, over the training frames
DEVIATION = np.float32([72.19, 72.79, 70.01])
VOID = 11  # the label of pixels that no class is said of
ANIMAL = 12  # the label of pasted animals
LABELS = {
    "train": "trainannot",
    "val": "valannot",
    "test": "testannot",
    "test_ood": "testannot_ood",
}


@dataclass(frozen=True)
class Frames:
    """RGB images (n, h, w, 3) uint8, labels (n, h, w) uint8, and the name of each frame."""

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def drives(self) -> np.ndarray:
        """The recording that each frame is of: (n,) strings."""
        return np.array([name.split("_")[0] for name in self.names])

    def take(self, indices: Sequence[int] | np.ndarray) -> Frames:
        """The frames at `indices`, or those that a mask names."""
        chosen = np.arange(len(self))[np.asarray(indices)]
        return Frames(self.images[chosen], self.labels[chosen], tuple(self.names[i] for i in chosen))


def read_frames(folder: Path, split: str, every: int = 1) -> Frames:
    """The frames of a split in the order of their names, each `every`-th of them.

    Raises FileNotFoundError where the folder holds none.
    """
    paths = sorted((folder / split).glob("*.webp")) or sorted((folder / split).glob("*.png"))
    if not paths:
        raise FileNotFoundError(f"expected CamVid's frames in {folder / split}, found none; name its folder")
    paths = paths[::every]
    labels = [folder / LABELS[split] / f"{path.stem}.png" for path in paths]
    return Frames(
        np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths]),
        np.stack([np.asarray(Image.open(path)) for path in labels]),
        tuple(path.stem for path in paths),
    )


def espnet_inputs(images: np.ndarray) -> np.ndarray:
    """RGB images (n, h, w, 3) uint8 as ESPNet wants them: (n, 3, h, w) float32, blue first."""
    normal = (images[..., ::-1].astype(np.float32) - MEAN) / DEVIATION / np.float32(255)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))
