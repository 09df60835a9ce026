"""Every detector of pytorch-ood that runs on the same network in the same process, by its own code.

Each has the settings it comes with; those without a default (ViM's d, DICE's p) take half of the features.
All are fitted on the training split, with labels, without the calibration or evaluation images.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from outrider.networks import LeNet, SmallResNet, import_torchvision

BATCH = 250
LEFT_OUT = {
    "MCD": "needs dropout; without it all its samples of the network are the same",
    "MCM": "needs the text embeddings of a vision-language model",
    "WeightedEBO": "needs weights that were trained with outliers",
}


@dataclass(frozen=True)
class Parts:
    """A classifier cut as pytorch-ood wants it: a chain of stages that ends in feature maps, a neck, a linear layer."""

    stages: list[nn.Module]
    neck: nn.Module
    last: nn.Linear

    @property
    def backbone(self) -> nn.Module:
        return nn.Sequential(*self.stages)

    @property
    def encoder(self) -> nn.Module:
        return nn.Sequential(*self.stages, self.neck)

    @property
    def head(self) -> nn.Module:
        return nn.Sequential(self.neck, self.last)

    @property
    def whole(self) -> nn.Module:
        return nn.Sequential(*self.stages, self.neck, self.last)


def parts(module: nn.Module) -> Parts:
    """The parts of a small network of the zoo, sharing its weights. Raises TypeError for another module."""
    if isinstance(module, LeNet):
        stages = [
            nn.Sequential(module.conv1, module.relu1),
            nn.Sequential(module.pool, module.conv2, module.relu2),
            nn.Sequential(module.pool, module.conv3, module.relu3),
        ]
        return Parts(stages, nn.Sequential(nn.Flatten(), module.dense1, module.relu4), module.dense2)
    if isinstance(module, SmallResNet):
        stages = [
            nn.Sequential(_Centre(), module.stem), module.down1, module.block1, module.down2, module.block2,
        ]  # fmt: skip
        return Parts(stages, nn.Sequential(module.pool, nn.Flatten()), module.dense)
    raise TypeError(f"expected LeNet or SmallResNet, got {type(module).__name__}: say here how it is cut")


class _Centre(nn.Module):
    """What SmallResNet does to its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 4 - 2


def detectors(p: Parts, classes: int) -> dict[str, tuple[str, Any]]:
    """Name -> (what it reads: "logits", "features", "feature_maps" or "images", the detector)."""
    import_torchvision()  # pytorch-ood imports torchvision, which needs our remedy where its compiled part is absent
    from pytorch_ood import detector as library

    width, w, b = p.last.in_features, p.last.weight.detach(), p.last.bias.detach()
    logits = {
        "MSP": library.MaxSoftmax(None),
        "MaxLogit": library.MaxLogit(None),
        "Energy": library.EnergyBased(None),
        "Entropy": library.Entropy(None),
        "GEN": library.GEN(None),
        "KLMatching": library.KLMatching(None),
        "OpenMax": library.OpenMax(None),
        "TemperatureScaling": library.TemperatureScaling(None),
    }
    features = {
        "DICE": library.DICE(None, w, b, p=0.5),
        "fDBD": library.fDBD(None, p.last),
        "GMM": library.GMM(None),
        "KNN": library.KNN(None),
        "LTS": library.LTS(None, p.last),
        "Mahalanobis": library.Mahalanobis(None),
        "NCI": library.NCI(None, p.last),
        "NNGuide": library.NNGuide(None, p.last),
        "PNML": library.PNML(None, p.last),
        "RMD": library.RMD(None),
        "SHE": library.SHE(None, p.last),
        "ViM": library.ViM(None, d=width // 2, w=w, b=b),
    }
    maps = {
        "ASH": library.ASH(p.backbone, p.head),
        "RankFeat": library.RankFeat(p.backbone, p.head),
        "ReAct": library.ReAct(p.backbone, p.head),
        "SCALE": library.SCALE(p.backbone, p.head),
        "VRA": library.VRA(p.backbone, p.head),
    }
    images = {
        "GradNorm": library.GradNorm(p.whole),
        "GradUncertainty": library.GradUncertainty(p.whole),
        "Gram": library.Gram(p.head, p.stages, classes),
        "MahalanobisODIN": library.MahalanobisODIN(p.encoder),
        "MultiMahalanobis": library.MultiMahalanobis(
            [*p.stages, nn.Sequential(p.neck, nn.Unflatten(1, (width, 1, 1)))]
        ),
        "NACUE": library.NACUE(p.whole, layers=[*p.stages, p.neck]),
        "ODIN": library.ODIN(p.whole),
    }
    kinds = {"logits": logits, "features": features, "feature_maps": maps, "images": images}
    return {name: (kind, found) for kind, group in kinds.items() for name, found in group.items()}


def rival_scores(
    module: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    columns: Iterable[np.ndarray],
    report: Callable[[str], None] = lambda _line: None,
) -> tuple[dict[str, list[np.ndarray]], dict[str, str]]:
    """Fit every detector on the training split and score every column; larger = more out of distribution.

    images: (n, channels, height, width) uint8. labels: (n,) int64. columns: float32 images in [0, 1].
    Returns the scores, name -> one (n,) float32 per column, and the detectors left out: name -> why.
    """
    logging.getLogger("pytorch_ood").setLevel(logging.ERROR)
    module.eval().requires_grad_(True)  # some detectors follow gradients from the weights
    p, columns = parts(module), [torch.from_numpy(column) for column in columns]
    y, training = torch.from_numpy(labels), _Loader(images, labels)
    readers = {
        "feature_maps": p.backbone,
        "features": p.encoder,
        "logits": module,
    }
    scores: dict[str, list[np.ndarray]] = {}
    left_out = dict(LEFT_OUT)
    stored: dict[str, tuple[Tensor, list[Tensor]]] = {}
    for name, (kind, found) in detectors(p, int(labels.max()) + 1).items():
        began = time.perf_counter()
        if kind != "images" and kind not in stored:
            stored = {kind: (_through(readers[kind], training), [_through(readers[kind], [x]) for x in columns])}
        try:
            torch.manual_seed(0)
            found.to("cpu")
            if kind == "images":
                found.fit(training)
                scores[name] = [_scores(found.predict, column) for column in columns]
            else:
                seen, inputs = stored[kind]
                getattr(found, f"fit_{kind}")(seen, y)
                scores[name] = [_scores(getattr(found, f"predict_{kind}"), values) for values in inputs]
        except Exception as error:  # a rival that fails is reported, not hidden
            left_out[name] = f"{type(error).__name__}: {error}"
        report(f"{name}: {left_out.get(name) or f'{time.perf_counter() - began:.0f} s'}")
    return scores, left_out


class _Loader:
    """Batches (float images, labels) of a training split held as uint8."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.images, self.labels = torch.tensor(images), torch.tensor(labels)

    def __iter__(self):
        for x, y in zip(self.images.split(BATCH), self.labels.split(BATCH), strict=True):
            yield x.float() / 255, y

    def __len__(self) -> int:
        return math.ceil(len(self.images) / BATCH)


def _through(reader: Callable[[Tensor], Tensor], batches: Iterable) -> Tensor:
    """What `reader` makes of the images: of a `_Loader`, or of a list of one tensor."""
    out = []
    with torch.no_grad():
        for batch in batches:
            images = batch[0] if isinstance(batch, tuple) else batch
            out += [reader(x) for x in images.split(BATCH)]
    return torch.cat(out)


def _scores(predict: Callable[[Tensor], Tensor], values: Tensor) -> np.ndarray:
    return torch.cat([predict(v).detach().float() for v in values.split(BATCH)]).numpy()
