"""Fewer taps: `python -m benchmarks.detection.stages mobilenet` (or `cifar10`, `fashion-mnist`).

`taps="stages"` observes the last activation of each size of map. The rows compare the default criteria on these taps
and on the default taps, each with and without the first activation unit by unit; all else is equal. The small networks
have the splits and columns of `benchmarks.detection.detectors`, attacked from fewer images, without PGD 0.1 and
Carlini-Wagner.

`mobilenet` is MobileNetV2 with its ImageNet weights on CIFAR-10's photographs, which it resizes to 96 x 96. A linear
layer for their ten classes is learned on 5,000 of them. The profile learns from 10,000 others, and 2,000 more set the
threshold. Of the test photographs 2,000 are the clean ones; 1,000 others are changed or attacked. It runs in ONNX
Runtime, as in `benchmarks.cost.onnx`, and has two rows more for that benchmark's criterion `bitmap`. Nothing was chosen
by these figures.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from outrider.coverage import CoverageBitmap
from outrider.monitor import Monitor, ZScore
from outrider.networks import (
    HELD_OUT,
    ImageSet,
    Network,
    OnnxNetwork,
    TorchNetwork,
    cache_folder,
    load_dataset,
    trained,
)

from ..onnx_models import IMAGENET, OPSET, trained_mobilenet
from ..results import keep
from ..tables import show
from . import tables
from .attacks import ATTACKS, OTHER_IMAGES, Attack, EvaluationSet, attacked, fgsm, fitted, pgd, uniform_noise
from .scoring import NETWORKS, accuracy, judged, our_scores, sizes

TAPS: dict[str, dict] = {
    tables.DEFAULT: {},
    "default, taps stages": {"taps": "stages"},
    "default, taps stages and first:unit": {"taps": ("stages", "first:unit")},
    "default, taps auto": {"taps": "auto"},
}
COUNTS = {"FGSM": 500, "PGD": 300, "DeepFool": 200}  # images that an attack starts from
LEFT_OUT = ("CW", "PGD 0.1")


@dataclass(frozen=True)
class Experiment:
    """A network, its splits, and the columns of its table, of which the first is clean."""

    name: str
    module: nn.Module
    network: Callable[..., Network]
    seen: ImageSet
    held_out: ImageSet
    test: ImageSet
    columns: list[EvaluationSet]
    bitmaps: bool = False


def small_network(dataset: str) -> Experiment:
    """A network of `detectors` on its own splits."""
    module = trained(NETWORKS[dataset])
    data, test = load_dataset(dataset, "train"), load_dataset(dataset, "test")
    cut = len(data) - HELD_OUT[dataset]
    attacks = [replace(a, count=COUNTS[a.name.split()[0]]) for a in ATTACKS[dataset] if a.name not in LEFT_OUT]
    columns = [
        EvaluationSet("test", test.floats()),
        *strangers(dataset, test.images.shape[1:], 2000),
        *attacks_on(module, test[:1000], attacks),
    ]
    network = partial(TorchNetwork, module, test.images.shape[1:])
    return Experiment(NETWORKS[dataset], module, network, data[:cut], data[cut:], test, columns)


def mobilenet() -> Experiment:
    """MobileNetV2 on CIFAR-10: five splits without a photograph in common."""
    data, test = load_dataset("cifar10", "train"), load_dataset("cifar10", "test")
    test, other = test[:2000], test[2000:3000]
    module = Enlarged(trained_mobilenet()).eval()
    learn_head(module, data[:5000])
    path = cache_folder() / "benchmarks" / "mobilenet-cifar10.onnx"
    export(module, path)
    photographs, rng = torch.from_numpy(other.floats()), np.random.default_rng(0)
    grain = torch.from_numpy(rng.normal(0, 0.1, other.images.shape).astype(np.float32))
    changed = {
        "grain": (photographs + grain).clamp(0, 1),
        "dark": photographs * 0.3,
        "blur": functional.avg_pool2d(photographs, 5, 1, 2, count_include_pad=False),
    }
    attacks = [
        fgsm("FGSM 8/255", 8 / 255, COUNTS["FGSM"]),
        fgsm("FGSM 2/255", 2 / 255, COUNTS["FGSM"]),
        pgd("PGD 8/255", 8 / 255, 200),
        pgd("PGD 2/255", 2 / 255, 200),
    ]
    columns = [
        EvaluationSet("test", test.floats()),
        *strangers("cifar10", test.images.shape[1:], 500),
        EvaluationSet("traffic lights", load_dataset("traffic-lights", "test").floats()),
        *(EvaluationSet(name, images.numpy()) for name, images in changed.items()),
        *attacks_on(module, other[:700], attacks),
    ]
    network = partial(OnnxNetwork, path)
    return Experiment("mobilenet-v2", module, network, data[5000:15_000], data[-2000:], test, columns, bitmaps=True)


class Enlarged(nn.Module):
    """MobileNetV2 for ten classes of photographs of 32 x 32, (batch, 3, 32, 32) float32 in [0, 1]."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.features = classifier.features
        self.head = nn.Linear(classifier.last_channel, 10)
        self.register_buffer("mean", torch.tensor(IMAGENET.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET.std)[:, None, None])

    def encode(self, x: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=3, mode="bilinear")
        return self.features((x - self.mean) / self.std).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encode(x))


def learn_head(module: Enlarged, data: ImageSet) -> None:
    """Logistic regression on the features of `data`, with weight decay."""
    with torch.no_grad():
        x = torch.cat([module.encode(torch.from_numpy(data[i : i + 50].floats())) for i in range(0, len(data), 50)])
    y = torch.from_numpy(data.labels)
    for parameter in module.head.parameters():
        nn.init.zeros_(parameter)
    optimiser = torch.optim.LBFGS(module.head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(module.head(x), y) + 1e-3 * module.head.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)


def export(module: nn.Module, path: Path) -> None:
    """Write the module as ONNX with an open batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            module, (torch.zeros(1, 3, 32, 32),), str(path), dynamo=False, opset_version=OPSET, input_names=["x"],
            dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip


def strangers(dataset: str, shape: tuple[int, int, int], count: int) -> list[EvaluationSet]:
    """Images of other sets, and noise."""
    others = [EvaluationSet(name, fitted(load_dataset(name, "test")[:count], shape)) for name in OTHER_IMAGES[dataset]]
    return [*others, EvaluationSet("noise", uniform_noise(count, shape))]


def attacks_on(module: nn.Module, clean: ImageSet, attacks: Sequence[Attack]) -> list[EvaluationSet]:
    """A column for each attack."""
    columns = []
    for attack in attacks:
        columns.append(attacked(module, clean, attack))
        print(f"{attack.name}: {columns[-1].success:.1%} of {attack.count} succeed", flush=True)
    return columns


def monitors(experiment: Experiment) -> tuple[dict[str, Callable[[], Monitor]], dict[str, list[str]]]:
    """The rows, and the taps of every choice; a choice that comes to the same as an earlier one gets no row."""
    rows: dict[str, Callable[[], Monitor]] = {}
    taps: dict[str, list[str]] = {}
    for name, options in TAPS.items():
        chosen = [tap.id for tap in experiment.network(**options).taps]
        same = [known for known, ids in taps.items() if ids == chosen]
        taps[name] = chosen
        said = [f"the same as {same[0]!r}"] if same else chosen if len(chosen) < 10 else []
        print(f"{name}: {len(chosen)} taps", *said, sep="\n  ", flush=True)
        if not same:
            rows[name] = lambda options=options: Monitor(experiment.network(**options))
    for choice in ("auto", "stages") if experiment.bitmaps else ():
        rows[f"bitmap, z of log, taps {choice}"] = lambda choice=choice: Monitor(
            experiment.network(taps=choice), CoverageBitmap(), logic=ZScore()
        )
    return rows, taps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=("mobilenet", *NETWORKS), nargs="?", default="mobilenet")
    chosen = parser.parse_args().network
    experiment = mobilenet() if chosen == "mobilenet" else small_network(chosen)
    makers, taps = monitors(experiment)
    rows = {}
    for name, make in makers.items():
        began = time.perf_counter()
        found = our_scores(make, experiment.seen, experiment.held_out, experiment.columns)
        rows[name] = judged(found.pop("scores"), found["threshold"], experiment.columns) | found
        print(f"{name}: {time.perf_counter() - began:.0f} s", *rows[name]["warnings"], sep="\n  ", flush=True)
    splits = {"profile": experiment.seen, "calibration": experiment.held_out, "test": experiment.test}
    figures = {
        "network": experiment.name,
        "accuracy": accuracy(experiment.module, experiment.test),
        "splits": {name: len(split) for name, split in splits.items()},
        "columns": sizes(experiment.columns),
        "taps": taps,
        "rows": rows,
    }
    show(tables.stages(figures))
    keep(f"stages-{chosen}", figures)


if __name__ == "__main__":
    main()
