"""The four networks of the tables, each with its splits and the columns that it is judged on.

Columns are made of test images. For choosing among designs they are made of held-out training images instead, of the
last third, while the other two set the thresholds: nothing is chosen on what a table shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from outrider.networks import (
    HELD_OUT,
    ImageSet,
    Network,
    OnnxNetwork,
    TorchNetwork,
    load_dataset,
    trained,
)

from .attacks import Attack, EvaluationSet, attacked, carlini_wagner, deepfool, fgsm, fitted, pgd, uniform_noise
from .changes import changed
from .photographs import photograph_network
from .traffic_signs import FEW, load_signs, sign_network

NAMES = ("fashion-mnist", "cifar10", "mobilenet", "gtsrb")
NETWORKS = {"fashion-mnist": "lenet-fashion-mnist", "cifar10": "resnet-cifar10"}
ATTACKS: dict[str, tuple[Attack, ...]] = {
    "fashion-mnist": (
        fgsm("FGSM 0.1", 0.1, 2000),
        pgd("PGD 0.03", 0.03, 1000),
        pgd("PGD 0.1", 0.1, 1000),
        deepfool(500),
        carlini_wagner(300, stepsize=0.1),
        carlini_wagner(200, stepsize=0.1, confidence=5),
    ),
    "cifar10": (
        fgsm("FGSM 0.1", 0.1, 1000),
        fgsm("FGSM 8/255", 8 / 255, 1000),
        pgd("PGD 0.03", 0.03, 500),
        pgd("PGD 2/255", 2 / 255, 500),
        pgd("PGD 0.1", 0.1, 500),
        deepfool(500),
        carlini_wagner(200, stepsize=0.01),
        carlini_wagner(200, stepsize=0.01, confidence=5),
    ),
    "mobilenet": (
        fgsm("FGSM 8/255", 8 / 255, 500),
        fgsm("FGSM 2/255", 2 / 255, 500),
        pgd("PGD 8/255", 8 / 255, 200),
        pgd("PGD 2/255", 2 / 255, 200),
    ),
    "gtsrb": (
        fgsm("FGSM 8/255", 8 / 255, 1000),
        pgd("PGD 2/255", 2 / 255, 1000),
        pgd("PGD 8/255", 8 / 255, 500),
        deepfool(300),
    ),
}
OTHERS = {"fashion-mnist": 2000, "cifar10": 2000, "mobilenet": 500, "gtsrb": 2000}
STRANGERS = {
    "fashion-mnist": ("mnist",),
    "cifar10": ("mnist", "fashion-mnist"),
    "mobilenet": ("mnist", "fashion-mnist", "traffic-lights"),
    "gtsrb": ("cifar10",),
}
CHANGES: dict[str, tuple[str, ...]] = {
    "mobilenet": ("grain", "dark", "blur"),
    "gtsrb": ("dark", "fog", "blur", "sticker"),
}
QUICK = (2000, 600)
"""About how many images are profiled, and how many are held out and clean, in a quick run."""
OF_CHOOSING = 3
"""One held-out image in so many is for choosing."""


@dataclass(frozen=True)
class Experiment:
    """A network, its splits, and what it is judged on.

    module: takes (n, channels, height, width) floats in [0, 1], gives logits. network: the same for a monitor, given
    options of its adapter. clean: the images whose false alarms count, the first column. changing: those that are
    changed and attacked. strange: sets of others. calibrate: options of `Monitor.calibrate`.
    """

    name: str
    title: str
    module: nn.Module
    network: Callable[..., Network]
    seen: ImageSet
    held_out: ImageSet
    clean: ImageSet
    changing: ImageSet
    strange: tuple[ImageSet, ...]
    attacks: tuple[Attack, ...]
    changes: tuple[str, ...] = ()
    calibrate: dict[str, Any] = field(default_factory=dict)

    @property
    def few(self) -> np.ndarray:
        """(classes,) bool: which classes have few profiled images."""
        return np.bincount(self.seen.labels, minlength=len(self.seen.classes)) < FEW

    def columns(self, report: Callable[[str], object] = print) -> list[EvaluationSet]:
        """The columns, of which the first is clean; attacks are cached. report gets a line for each attack."""
        shape, images = self.clean.images.shape[1:], self.changing.floats()
        made = [EvaluationSet("test", self.clean.floats())]
        made += [
            EvaluationSet(other.name.replace("-lights", " lights"), fitted(other, shape)) for other in self.strange
        ]
        made.append(EvaluationSet("noise", uniform_noise(min(OTHERS[self.name], len(images)), shape)))
        made += [EvaluationSet(kind, changed(images[: OTHERS[self.name]], kind)) for kind in self.changes]
        for attack in self.attacks:
            made.append(attacked(self.module, self.changing, attack))
            report(f"{self.name}: {attack.name}: {made[-1].success:.1%} of {made[-1].tried} succeed")
        return made


def experiment(name: str, *, quick: bool = False, choosing: bool = False) -> Experiment:
    """The experiment of a name in NAMES.

    quick: with small samples of everything. choosing: with columns made of held-out training images, and of other
    sets than the table has.
    """
    made = {"mobilenet": _mobilenet, "gtsrb": _signs}.get(name, _small)(name)
    if choosing:
        made = _for_choosing(made)
    return _quick(made) if quick else made


def _quick(made: Experiment) -> Experiment:
    attacks = tuple(replace(one, count=max(one.count // 20, 20)) for one in made.attacks)
    strange = tuple(one[: max(len(one) // 20, 100)] for one in made.strange)
    every, held = max(1, len(made.seen) // QUICK[0]), max(1, len(made.held_out) // QUICK[1])
    drives = made.calibrate.get("drives")
    theirs = {} if drives is None else {"drives": drives[::held]}
    return replace(
        made, attacks=attacks, strange=strange, seen=made.seen[::every], held_out=made.held_out[::held],
        clean=made.clean[:: max(1, len(made.clean) // QUICK[1])],
        changing=made.changing[: max(200, len(made.changing) // 20)], calibrate={**made.calibrate, **theirs},
    )  # fmt: skip


def _strangers(name: str) -> tuple[ImageSet, ...]:
    return tuple(load_dataset(other, "test")[: OTHERS[name]] for other in STRANGERS[name])


def _small(name: str) -> Experiment:
    """A network of the zoo on its own data."""
    module, data, test = trained(NETWORKS[name]), load_dataset(name, "train"), load_dataset(name, "test")
    cut = len(data) - HELD_OUT[name]
    network = partial(TorchNetwork, module, test.images.shape[1:])
    title = {"fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}[name]
    return Experiment(name, title, module, network, data[:cut], data[cut:], test, test, _strangers(name), ATTACKS[name])


def _signs(name: str) -> Experiment:
    """A small residual network on traffic signs: 33 classes known, held out by track."""
    signs = load_signs()
    module = sign_network(signs)
    network = partial(TorchNetwork, module, (3, 32, 32))
    rng = np.random.default_rng(0)
    changing = signs.test[np.sort(rng.permutation(len(signs.test))[:4000])]  # stored class by class
    shuffled = changing[rng.permutation(len(changing))]
    return Experiment(
        name, "Traffic signs", module, network, signs.seen, signs.held_out, signs.test, shuffled,
        (signs.strange, *_strangers(name)), ATTACKS[name], CHANGES[name],
        {"drives": signs.tracks, "per_class": True},
    )  # fmt: skip


def _mobilenet(name: str) -> Experiment:
    """MobileNetV2 in ONNX Runtime on CIFAR-10's photographs: five splits without a photograph in common."""
    data, test = load_dataset("cifar10", "train"), load_dataset("cifar10", "test")
    module, path = photograph_network(data[:5000])
    return Experiment(
        name, "MobileNetV2", module, partial(OnnxNetwork, path), data[5000:15_000], data[-2000:], test[:2000],
        test[2000:3000], _strangers(name), ATTACKS[name], CHANGES[name],
    )  # fmt: skip


def _for_choosing(made: Experiment) -> Experiment:
    rows = np.arange(len(made.held_out))
    drives = made.calibrate.get("drives")
    if drives is None:
        last = rows >= len(rows) - len(rows) // OF_CHOOSING
    else:
        last = np.unique(drives, return_inverse=True)[1] % OF_CHOOSING == 0
    theirs = {} if drives is None else {"drives": drives[~last]}
    clean = made.held_out[last]
    changing = clean[np.random.default_rng(0).permutation(len(clean))]
    strange = tuple(load_dataset(other, "train")[:500] for other in ("digits", "traffic-lights"))
    return replace(
        made, held_out=made.held_out[~last], clean=clean, changing=changing, strange=strange,
        changes=(*made.changes, "shuffled"), calibrate={**made.calibrate, **theirs},
        attacks=tuple(replace(one, count=max(100, one.count // 5)) for one in made.attacks),
    )  # fmt: skip
