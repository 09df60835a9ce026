"""HBOS (Goldstein and Dengel, 2012) on the channel means of named layers, by PyOD's own code.

Libraries for the verification of networks offer it as an out-of-distribution detector on named layers. A histogram for
each neuron is learned from the profiled images, and the score is the sum of the negative logarithms of the densities.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .rival import Ground, Rival, Scorer

PACKAGE = "pyod"
VERSION = "3.6.7"
LEFT_OUT: dict[str, str] = {}
LAYERS = {"layers": ("pooled", "means of the channels of every stage and the features"), "features": ("features", "")}


def rivals() -> list[Rival]:
    return [
        Rival(f"{PACKAGE} HBOS, {name}", f"10 bins; {text or 'the features before the last layer'}", _fitting(kind))
        for name, (kind, text) in LAYERS.items()
    ]


def _fitting(kind: str) -> Callable[[Ground], Scorer]:
    def fit(ground: Ground) -> Scorer:
        from pyod.models.hbos import HBOS

        found = HBOS(n_bins=10)
        found.fit(ground.read(kind, ground.images).numpy())

        def score(images: np.ndarray) -> np.ndarray:
            values: np.ndarray = found.decision_function(ground.read(kind, images).numpy())
            return values

        return score

    return fit
