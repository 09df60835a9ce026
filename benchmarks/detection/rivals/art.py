"""The one detector of the Adversarial Robustness Toolbox that learns from trusted images alone.

Subset scanning (Speakman et al.; McFowland, Speakman and Neill, 2013): the p-values of the units of a layer, and the
subset of them that is least likely under the null model.
"""

from __future__ import annotations

import numpy as np
import torch

from outrider.networks import import_torchvision

from .rival import Ground, Rival, Scorer, in_batches

PACKAGE = "adversarial-robustness-toolbox"
VERSION = "1.20.1"
LEFT_OUT = {
    "BinaryInputDetector": "is trained on attacks",
    "BinaryActivationDetector": "is trained on attacks",
    "BeyondDetectorPyTorch": "needs a second network, trained by self-supervision on the same data",
    "ActivationDefence": "looks for poisoned training images, as the others in its package of poisoning do",
}
LIMIT = 1000
PROFILED = 2000


def rivals() -> list[Rival]:
    text = f"Berk-Jones on the features before the last layer; {PROFILED:,} images for its null model"
    return [Rival("ART SubsetScanning", text, _fit, LIMIT, PROFILED)]


def _fit(ground: Ground) -> Scorer:
    import_torchvision()
    from art.defences.detector.evasion import SubsetScanningDetector
    from art.estimators.classification import PyTorchClassifier

    network, shape = ground.parts.whole, ground.images.shape[1:]
    classifier = PyTorchClassifier(
        network, torch.nn.CrossEntropyLoss(), shape, ground.classes, clip_values=(0, 1), device_type="cpu"
    )
    layer = str(len(network) - 2)
    found = SubsetScanningDetector(classifier, ground.images.astype(np.float32) / 255, layer, verbose=False)

    def score(x: torch.Tensor) -> np.ndarray:
        values: np.ndarray = found.detect(x.numpy())[0]["scores"]
        return values

    return lambda images: in_batches(score, images)
