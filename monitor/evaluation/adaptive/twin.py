"""A monitor of a PyTorch module as one function of tensors: its score, with gradients back to the image."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....networks import TorchNetwork
from ...data.groups import groups_of
from ...errors import NotReadyError
from .criteria import Twinned, criterion_twin
from .logics import logic_twin


class TwinVerdicts(NamedTuple):
    """What a twin says of n images. Gradients flow from each field of floats back to the images.

    logits: (n, classes). predictions: (n,) int64, the class predicted. compared: (n,) int64, the class that the images
    were compared with. deviations: (n, columns). score: (n,) float64, that of `Monitor.check` where the two classes are
    the same. threshold: (n,), of the class compared with. pressures: (n, any), what the score is made of, over the
    threshold: no alarm where none is above 1.
    """

    logits: Tensor
    predictions: Tensor
    compared: Tensor
    deviations: Tensor
    score: Tensor
    threshold: Tensor
    pressures: Tensor


class Twin:
    """The differentiable twin of a calibrated monitor of a `TorchNetwork`.

    Its score is that of the monitor; where that counts, the gradient is of a smooth surrogate. It holds to the
    calibration of now. A column whose frames have several samples, such as places, has the worst of them, as there.
    Raises NotReadyError before `calibrate`, TypeError for another network, and ValueError for a criterion or a logic
    without a twin, a network without classes, and taps whose rows vary.
    """

    def __init__(self, monitor: Any) -> None:
        network = monitor.network
        if not isinstance(network, TorchNetwork):
            raise TypeError(f"expected a monitor of a TorchNetwork to compute gradients, got one of {network!r}")
        if monitor.calibration is None:
            raise NotReadyError("expected a calibrated monitor to attack, got no threshold; call calibrate()")
        profile, calibration = monitor.learned, monitor.calibration
        self._forward = network.with_gradients
        sizes = [size or 1 for size in network.input_shape]
        logits, _ = self._forward(torch.zeros(1, *sizes))
        device = logits.device
        order = {tap.id: index for index, tap in enumerate(network.taps)}
        make = partial(criterion_twin, device=device)
        self._columns: list[tuple[int, Twinned]] = [
            (order[profile.facts.taps[column.tap].id], make(column.criterion, signature))
            for column, signature in zip(profile.columns, profile.signatures, strict=True)
        ]
        groups = groups_of(profile.columns)
        self._join = logic_twin(monitor.logic, calibration.scales, groups, device)
        self._covered = torch.from_numpy(np.asarray(profile.trusted.covered)).to(device)
        self._thresholds = torch.from_numpy(np.array(calibration.thresholds, np.float64)).to(device)
        self.device = device

    def features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Class scores (n, classes), and the neurons of each tap flattened, (n, any) each."""
        logits, neurons = self._forward(images)
        return logits, [values.reshape(len(images), -1) for values in neurons]

    def __call__(self, images: Tensor, avoiding: Tensor | None = None, toward: Tensor | None = None) -> TwinVerdicts:
        """What the monitor says of images, (n, *input_shape) floats.

        avoiding: (n,) int64, a class for each image that it is not compared with. The likeliest covered other class is
        taken then, to which an attack leads. toward: (n,) int64, the class that each image is compared with. By default
        it is the class predicted, as the monitor does.
        """
        logits, neurons = self._forward(images)
        predictions = logits.detach().argmax(1)
        labels = predictions if toward is None else toward
        if avoiding is not None:
            labels = self.rivals(logits.detach(), avoiding)
        n, each = len(images), []
        for tap, deviation in self._columns:
            values = neurons[tap]
            samples = len(values) // n
            found = deviation(values, labels if samples == 1 else labels.repeat_interleave(samples))
            each.append(found if samples == 1 else found.view(n, samples).amax(1))
        deviations = torch.stack(each, dim=1)
        finite = torch.isfinite(deviations).all(1) & self._covered[labels]
        score, parts = self._join(torch.where(finite[:, None], deviations, 0.0).double())
        score = torch.where(finite, score, torch.inf)
        threshold = self._thresholds[labels]
        pressures = parts / threshold.clamp_min(1e-9)[:, None]
        return TwinVerdicts(logits, predictions, labels, deviations, score, threshold, pressures)

    def rivals(self, logits: Tensor, avoided: Tensor, rank: int = 0) -> Tensor:
        """The likeliest covered class but the one avoided, or one that so many others are likelier than, (n,) int64."""
        others = logits.scatter(1, avoided[:, None], -torch.inf)
        covered = others.masked_fill(~self._covered, -torch.inf)
        some = torch.isfinite(covered).sum(1, keepdim=True)
        likeliest = torch.where(some > 0, covered, others).argsort(1, descending=True)
        return likeliest.gather(1, (some - 1).clamp(0, rank))[:, 0]
