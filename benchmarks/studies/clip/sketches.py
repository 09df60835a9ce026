"""QuickDraw's sketches with captions: three parts without a picture in common, and pairs of safe and unsafe ones."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from outrider.networks import cache_folder
from outrider.networks.tuning.clip import Quadruple

from .concepts import TEMPLATES, Classes

SIDE = 28  # pixels
EACH = 100  # drawings of a class
PARTS = {"train": slice(0, 80), "choose": slice(80, 86), "test": slice(86, 100)}


@dataclass(frozen=True)
class Sketches:
    """Drawings of the classes, (classes, 100, 28, 28) uint8, bright on black, in the order of `classes.every`."""

    classes: Classes
    drawings: np.ndarray

    def pixels(self, part: str) -> tuple[torch.Tensor, np.ndarray]:
        """A part's pictures, (n, 3, 28, 28) float32 from −1 to 1 as the encoder takes them, and their classes (n,)."""
        found = self.drawings[:, PARTS[part]]
        grey = torch.from_numpy(found.reshape(-1, 1, SIDE, SIDE)).float() / 127.5 - 1
        return grey.expand(-1, 3, -1, -1), np.repeat(np.arange(len(found)), found.shape[1])

    def quadruples(self, seed: int) -> list[Quadruple]:
        """Each unsafe training picture with a safe one of any class inside, drawn by the seed, and their captions.

        Both captions have the same template. Pictures are called by their row in `pixels("train")`.
        """
        rng = np.random.default_rng(seed)
        train = PARTS["train"].stop
        first = len(self.classes.inside) + len(self.classes.outside)
        found = []
        for place, unsafe in enumerate(self.classes.unsafe):
            for i in range(train):
                safe, row, template = (int(rng.integers(n)) for n in (len(self.classes.inside), train, len(TEMPLATES)))
                found.append(
                    Quadruple(
                        safe * train + row,
                        TEMPLATES[template].format(self.classes.inside[safe]),
                        (first + place) * train + i,
                        TEMPLATES[template].format(unsafe),
                    )
                )
        return found


def read(classes: Classes, folder: Path | None = None) -> Sketches:
    """The sketches of classes, from the files that `benchmarks.fetch_data` fetches.

    Raises FileNotFoundError where they are not there.
    """
    folder = folder or cache_folder() / "quickdraw"
    return Sketches(classes, np.stack([_drawings(folder / f"{name}.ndjson.gz") for name in classes.every]))


def _drawings(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(
            f"expected sketches in {path}, got none: run `python -m benchmarks.fetch_data quickdraw`"
        )
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = np.array([json.loads(line) for line in lines], np.float64)
    if rows.shape != (EACH, SIDE * SIDE):
        raise ValueError(f"{path}: expected {EACH} drawings of {SIDE} x {SIDE}, got an array of {rows.shape}")
    return np.round(rows.reshape(-1, SIDE, SIDE) * 255).astype(np.uint8)
