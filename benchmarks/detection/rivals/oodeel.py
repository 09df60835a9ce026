"""The detectors of oodeel that read several layers, on every stage and the features.

Each has the settings it comes with: channels are averaged over the map (not for Gram), layers are joined by its own
aggregator. Its detectors of one layer are those that pytorch-ood has too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from outrider.networks import import_torchvision

from .rival import OF_GRADIENTS, Ground, Rival, Scorer, in_batches

PACKAGE = "oodeel"
VERSION = "0.4.0"
DETECTORS = {
    "DKNN": "the 50th neighbour",
    "Gram": "orders 1 to 5, 1 % quantiles",
    "Mahalanobis": "inputs moved by 0.0014",
    "RMDS": "inputs moved by 0.0014",
    "SHE": "inputs moved by 0.0014",
    "VIM": "99 % of the variance",
}
LEFT_OUT: dict[str, str] = {}
LIMIT = 500
PROFILED = 5000


def rivals() -> list[Rival]:
    return [
        Rival(f"{PACKAGE} {name}, layers", f"every stage and the features; {setting}", _fitting(name), LIMIT, PROFILED)
        for name, setting in DETECTORS.items()
    ]


def _fitting(name: str) -> Callable[[Ground], Scorer]:
    def fit(ground: Ground) -> Scorer:
        found = getattr(_library(), name)()
        images = torch.from_numpy(ground.images.astype(np.float32) / 255)
        data = torch.utils.data.TensorDataset(images, torch.from_numpy(ground.labels))
        found.fit(
            ground.parts.whole, torch.utils.data.DataLoader(data, batch_size=OF_GRADIENTS),
            feature_layers_id=ground.parts.layers, head_layer_id=-1,
        )  # fmt: skip

        def score(x: Tensor) -> np.ndarray:
            values: np.ndarray = found.score(x)[0]
            return values

        return lambda images: in_batches(score, images, OF_GRADIENTS)

    return fit


def _library() -> Any:
    import_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations
        from oodeel import methods

    return methods
