"""Every detector of pytorch-ood that runs on a trained classifier.

Each has the settings it comes with; those without a default (ViM's d, DICE's p) take half of the features.
All are fitted on the profiled images, with labels. Those that read gradients or whole maps judge fewer images.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from outrider.networks import import_torchvision

from .parts import Parts
from .rival import BATCH, OF_GRADIENTS, Ground, Rival, Scorer, in_batches, joined

PACKAGE = "pytorch-ood"
VERSION = "0.4.0"
LEFT_OUT = {
    "MCD": "needs dropout; without it all its samples of the network are the same",
    "MCM": "needs the text embeddings of a vision-language model",
    "WeightedEBO": "needs weights that were trained with outliers",
}
OWN = "its own settings"
Make = Callable[[Any, Parts, int], Any]
"""A detector of the library, the parts of the network and the count of its classes."""

LOGITS: dict[str, Make] = {
    "MSP": lambda own, p, c: own.MaxSoftmax(None),
    "MaxLogit": lambda own, p, c: own.MaxLogit(None),
    "Energy": lambda own, p, c: own.EnergyBased(None),
    "Entropy": lambda own, p, c: own.Entropy(None),
    "GEN": lambda own, p, c: own.GEN(None),
    "KLMatching": lambda own, p, c: own.KLMatching(None),
    "OpenMax": lambda own, p, c: own.OpenMax(None),
    "TemperatureScaling": lambda own, p, c: own.TemperatureScaling(None),
}
FEATURES: dict[str, Make] = {
    "DICE": lambda own, p, c: own.DICE(None, p.last.weight.detach(), p.last.bias.detach(), p=0.5),
    "fDBD": lambda own, p, c: own.fDBD(None, p.last),
    "GMM": lambda own, p, c: own.GMM(None),
    "KNN": lambda own, p, c: own.KNN(None),
    "LTS": lambda own, p, c: own.LTS(None, p.last),
    "Mahalanobis": lambda own, p, c: own.Mahalanobis(None),
    "NCI": lambda own, p, c: own.NCI(None, p.last),
    "NNGuide": lambda own, p, c: own.NNGuide(None, p.last),
    "PNML": lambda own, p, c: own.PNML(None, p.last),
    "RMD": lambda own, p, c: own.RMD(None),
    "SHE": lambda own, p, c: own.SHE(None, p.last),
    "ViM": lambda own, p, c: own.ViM(None, d=p.last.in_features // 2, w=p.last.weight.detach(), b=p.last.bias.detach()),
}
MAPS: dict[str, Make] = {
    "ASH": lambda own, p, c: own.ASH(p.backbone, p.head),
    "RankFeat": lambda own, p, c: own.RankFeat(p.backbone, p.head),
    "ReAct": lambda own, p, c: own.ReAct(p.backbone, p.head),
    "SCALE": lambda own, p, c: own.SCALE(p.backbone, p.head),
    "VRA": lambda own, p, c: own.VRA(p.backbone, p.head),
}
IMAGES: dict[str, Make] = {
    "GradNorm": lambda own, p, c: own.GradNorm(p.whole),
    "GradUncertainty": lambda own, p, c: own.GradUncertainty(p.whole),
    "Gram": lambda own, p, c: own.Gram(p.head, p.stages, c),
    "MahalanobisODIN": lambda own, p, c: own.MahalanobisODIN(p.encoder),
    "MultiMahalanobis": lambda own, p, c: own.MultiMahalanobis(
        [*p.stages, nn.Sequential(p.neck, nn.Unflatten(1, (p.last.in_features, 1, 1)))]
    ),
    "NACUE": lambda own, p, c: own.NACUE(p.whole, layers=[*p.stages, p.neck]),
    "ODIN": lambda own, p, c: own.ODIN(p.whole),
}
SETTINGS = {
    "DICE": "half of the weights kept",
    "ViM": "the principal space has half as many dimensions as there are features",
    "Gram": "every stage; its own orders",
    "MultiMahalanobis": "every stage and the features",
    "NACUE": "every stage and the features; one setting for all of them, as it comes",
}
LIMIT = 1000
PROFILED = 5000


def rivals() -> list[Rival]:
    found = []
    for kind, group in {"logits": LOGITS, "features": FEATURES, "feature_maps": MAPS, "images": IMAGES}.items():
        few = kind in {"images", "feature_maps"}
        for name, make in group.items():
            found.append(
                Rival(
                    f"{PACKAGE} {name}", SETTINGS.get(name, OWN), _fitting(kind, make),
                    LIMIT if few else None, PROFILED if few else None,
                )
            )  # fmt: skip
    return found


def _fitting(kind: str, make: Make) -> Callable[[Ground], Scorer]:
    def fit(ground: Ground) -> Scorer:
        found = make(_library(), ground.parts, ground.classes)
        found.to("cpu")
        if kind == "images":
            found.fit(ground.loader(OF_GRADIENTS))
            return lambda images: in_batches(found.predict, images, OF_GRADIENTS)
        seen = ground.read(kind, ground.images)
        getattr(found, f"fit_{kind}")(seen, ground.loader().labels)
        predict = getattr(found, f"predict_{kind}")

        def score(images: np.ndarray) -> np.ndarray:
            return joined(predict(values) for values in ground.read(kind, images).split(BATCH))

        return score

    return fit


def _library() -> Any:
    import_torchvision()  # pytorch-ood imports torchvision, which needs our remedy where its compiled part is absent
    from pytorch_ood import detector

    logging.getLogger("pytorch_ood").setLevel(logging.ERROR)
    return detector
