"""The scores of scio that need no attack and no second network. It needs Python 3.12 or newer.

Those of several layers read the means of the channels of every stage and the features: on whole maps their covariances
and neighbours would fit no memory. It learns from all its images at once, so they are few.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .parts import Parts
from .rival import OF_GRADIENTS, Ground, Rival, Scorer, in_batches

PACKAGE = "scio-pypi"
VERSION = "1.1.0"
PYTHON = (3, 12)
LEFT_OUT = {
    "IsoMax": "trains another last layer",
    "Odds": "runs the network 256 times for each image",
    "JointEnergy": "is for several labels an image",
    "Baseline": "is Softmax under another name",
}
LIMIT = 500
PROFILED = 5000
NEIGHBOURS = 50
Make = Callable[[Any], Any]
OF_LAYERS: dict[str, tuple[str, Make]] = {
    "DeepMahalanobis": ("", lambda own: own.DeepMahalanobis()),
    "RelativeMahalanobis": ("", lambda own: own.RelativeMahalanobis()),
    "DkNN": (f"{NEIGHBOURS} neighbours", lambda own: own.DkNN(k=NEIGHBOURS)),
    "JTLA": (
        f"{NEIGHBOURS} neighbours, a flat prior, harmonic mean over layers",
        lambda own: own.JTLA(
            test={"type": "multinomial", "mode": "map", "k": NEIGHBOURS}, layer_aggregation="harmonic"
        ),
    ),
    "LID": (f"{NEIGHBOURS} neighbours", lambda own: own.LID(k=NEIGHBOURS)),
}
OF_FEATURES: dict[str, tuple[str, Make]] = {
    "KNN": (f"{NEIGHBOURS} neighbours", lambda own: own.KNN(k=NEIGHBOURS)),
    "Trust": ("alpha 0.05", lambda own: own.Trust(alpha=0.05)),
}
OF_STAGES: dict[str, tuple[str, Make]] = {"Gram": ("every stage", lambda own: own.Gram())}
OF_IMAGES: dict[str, tuple[str, Make]] = {
    "FeatureSqueezing": (
        "5 bits and a median of 2",
        lambda own: own.FeatureSqueezing(squeezers=("bits:5", "median:2")),
    ),
    "Energy": ("", lambda own: own.Energy()),
    "Logit": ("", lambda own: own.Logit()),
    "Softmax": ("", lambda own: own.Softmax()),
    "ODIN": ("temperature 1,000, inputs moved by 0.0014", lambda own: own.ODIN(temperature=1000.0, epsilon=0.0014)),
}


def rivals() -> list[Rival]:
    groups = {"pooled": OF_LAYERS, "features": OF_FEATURES, "stages": OF_STAGES, "": OF_IMAGES}
    return [
        Rival(f"scio {name}", text or "its own settings", _fitting(kind, make), LIMIT, PROFILED)
        for kind, group in groups.items()
        for name, (text, make) in group.items()
    ]


class Observed(nn.Module):
    """The chain of a network whose maps and channel means pass through modules of their own: scio can record these."""

    def __init__(self, p: Parts):
        super().__init__()
        self.stages, self.neck, self.last = nn.ModuleList(p.stages), p.neck, p.last
        self.maps = nn.ModuleList(nn.Identity() for _ in p.stages)
        self.means = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) for _ in p.stages)

    def forward(self, x: Tensor) -> Tensor:
        for stage, seen, mean in zip(self.stages, self.maps, self.means, strict=True):
            x = seen(stage(x))
            mean(x)
        return self.last(self.neck(x))

    def recorded(self, kind: str) -> list[nn.Module]:
        return {"pooled": [*self.means, self.neck], "features": [self.neck], "stages": list(self.maps), "": []}[kind]


def _fitting(kind: str, make: Make) -> Callable[[Ground], Scorer]:
    def fit(ground: Ground) -> Scorer:
        from scio.recorder import Recorder
        from scio.scores import classification

        observed = Observed(ground.parts).eval()
        images = torch.from_numpy(ground.images.astype(np.float32) / 255)
        recorder = Recorder(observed, input_data=images[:2], force_static_flow=False)
        recorder.record(*_places(recorder, observed.recorded(kind)))
        found = make(classification)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.fit(recorder, images, torch.from_numpy(ground.labels))

        def score(x: Tensor) -> np.ndarray:
            logits, conformity = found(x)
            return -conformity.gather(1, logits.argmax(1, keepdim=True))[:, 0].detach().numpy()

        return lambda columns: in_batches(score, columns, OF_GRADIENTS)

    return fit


def _places(recorder: Any, wanted: list[nn.Module]) -> list[tuple[int, int]]:
    """How scio calls the modules: by depth and number."""
    chosen = set(map(id, wanted))
    return [(layer.depth, layer.depth_index) for layer in recorder.summary.summary_list if id(layer.module) in chosen]
