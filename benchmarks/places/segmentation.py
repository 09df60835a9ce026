"""Where in the picture: `python -m benchmarks.places.segmentation --camvid DIR --models DIR`.

ESPNet with its published weights, or a MobileNetV2 of ours, sees CamVid's test frames without and with an animal in
each. Monitors learn from the training frames and are calibrated on the validation frames.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from outrider.coverage import Energy, Mahalanobis, Neighbours, Norm, Softmax
from outrider.monitor import Monitor, clopper_pearson
from outrider.networks import OnnxNetwork

from ..onnx_models import OPSET
from ..results import keep
from ..tables import show
from . import segmentation_tables
from .camvid import ANIMAL, Frames, espnet_inputs, read_frames
from .espnet import trained_espnet
from .pastes import exchanged, feathered
from .scoring import (
    MOST_CLEAN,
    Areas,
    box_means,
    hits,
    in_places,
    largest_areas,
    overlap,
    pixel_figures,
    threshold_at,
)
from .segmenter import segmenter, segmenter_inputs

SMOOTH, LEVEL = 5, 0.99
"""Of rivals, as of the default: the box in places, and the share of calibration places below the level."""
ASKED = 0.05
"""The false-alarm rate that is asked for."""
GIVEN = 30
"""Frames of the new drive that a recalibration gets, from all over it."""
AGAIN = 0.05, 0.1
"""The rates that it asks for."""
BATCH = 4
EXAMPLE = 1, 360, 480, 3
Settings = Mapping[str, Any]
SETS = "clean", "animal", "feathered", "control"
LAST, FIRST = "/encoder/b3/act/PRelu_output_0", "/encoder/level3_0/act/PRelu_output_0"
FINER, SCORES = "/encoder/b2/act/PRelu_output_0", "@output:pixel8"
CENTRES = Neighbours(centres=16)
DEFAULT = "Outrider, default"
SINGLE: dict[str, Settings] = {
    "kNN, 512 samples, last map": {"taps": "widest", "criteria": Neighbours(samples=512)},
    "Mahalanobis, last map": {"taps": "widest", "criteria": Mahalanobis()},
}
"""One column each, on the last of the widest maps, as the default has one."""
TRIED: dict[str, Settings] = {
    "16 centres, first map": {"taps": [FIRST], "criteria": {FIRST: CENTRES}},
    "16 centres, first and last map": {"taps": [FIRST, LAST], "criteria": {FIRST: CENTRES, LAST: CENTRES}},
    "16 centres, first and last map, length": {
        "taps": [FIRST, LAST],
        "criteria": {FIRST: [CENTRES, Norm()], LAST: CENTRES},
    },
    "16 centres, first and last map, length, energy": {
        "taps": [FIRST, LAST, SCORES],
        "criteria": {FIRST: [CENTRES, Norm()], LAST: CENTRES, SCORES: Energy()},
    },
    "centres, finer map, softmax": {
        "taps": [FINER, LAST, SCORES],
        "criteria": {LAST: CENTRES, FINER: Mahalanobis(), SCORES: Softmax()},
    },
    "centres, Mahalanobis, finer map, energy": {
        "taps": [FINER, LAST, SCORES],
        "criteria": {LAST: [CENTRES, Mahalanobis()], FINER: Mahalanobis(), SCORES: Energy()},
    },
}
"""On ESPNet alone: what else was looked at while the default was chosen."""


@dataclass(frozen=True)
class Segmenter:
    """A network as an ONNX file, and how RGB images (n, h, w, 3) uint8 become its batches."""

    name: str
    path: Path
    inputs: Callable[[np.ndarray], np.ndarray]

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        for i in range(0, len(images), BATCH):
            yield self.inputs(images[i : i + BATCH])


@dataclass(frozen=True)
class Data:
    """The frames: train and val with labels, and the images of each of `SETS` with where the animals are."""

    train: Frames
    val: Frames
    sets: Mapping[str, np.ndarray]
    labels: np.ndarray
    drives: np.ndarray

    @property
    def animals(self) -> np.ndarray:
        return self.labels == ANIMAL

    @property
    def foreign(self) -> np.ndarray:
        """The test frames of drives that neither the profile nor the calibration holds: (n,) bool."""
        return ~np.isin(self.drives, np.concatenate([self.train.drives, self.val.drives]))


@dataclass(frozen=True)
class Judged:
    """What a method says of the frames of each set: maps (n, h, w) and the largest area of each.

    threshold: at the rate asked for. again: by rate, the thresholds of recalibrations. given: the clean frames that
    these got.
    """

    maps: Mapping[str, np.ndarray]
    areas: Mapping[str, Areas]
    threshold: float
    again: Mapping[float, float] = field(default_factory=dict)
    given: np.ndarray | None = None


def read_data(folder: Path, every: int = 1) -> Data:
    """All frames, or each `every`-th. Raises FileNotFoundError where there are none."""
    train, val, test, ood = (read_frames(folder, split, every) for split in ("train", "val", "test", "test_ood"))
    where = ood.labels == ANIMAL
    sets = {
        "clean": test.images,
        "animal": ood.images,
        "feathered": feathered(test.images, ood.images, where),
        "control": exchanged(test.images, where),
    }
    return Data(train, val, sets, ood.labels, test.drives)


def exported(name: str, module: nn.Module, inputs: Callable[[np.ndarray], np.ndarray], folder: Path) -> Segmenter:
    """A module as an ONNX file for images of `EXAMPLE`'s size, any number of them."""
    path = folder / f"{name}.onnx"
    example = torch.from_numpy(inputs(np.zeros(EXAMPLE, np.uint8)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (example,), str(path), dynamo=False, opset_version=OPSET, input_names=["image"],
            output_names=["scores"], dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
        )  # fmt: skip
    return Segmenter(name, path, inputs)


def opened(name: str, models: Path, camvid: Path, folder: Path) -> Segmenter:
    """One of the two networks, exported into a folder."""
    if name == "espnet":
        return exported("ESPNet", trained_espnet(models), espnet_inputs, folder)
    return exported("MobileNetV2", segmenter(read_frames(camvid, "train")), segmenter_inputs, folder)


def of_monitor(segmenter: Segmenter, data: Data, settings: Settings) -> Judged:
    """A monitor by its public calls: profile, calibrate, check; then a recalibration with frames of the new drive."""
    options = {"taps": settings["taps"], "neurons": "pixel"} if settings else {}
    network = OnnxNetwork(segmenter.path, classes="pixel", **options)
    monitor = Monitor(network, settings.get("criteria"))
    labels = data.train.labels
    batches = segmenter.batches(data.train.images)
    monitor.profile((batch, labels[i * BATCH : i * BATCH + len(batch)]) for i, batch in enumerate(batches))
    monitor.calibrate(segmenter.batches(data.val.images), false_alarm_rate=ASKED)
    maps, areas, threshold = {}, {}, 0.0
    for name, images in data.sets.items():
        found = [monitor.check(batch)[1] for batch in segmenter.batches(images)]
        maps[name] = np.concatenate([verdicts.maps for verdicts in found])
        where = largest_areas(maps[name], found[0][0].places.level).where
        areas[name] = Areas(np.concatenate([verdicts.score for verdicts in found]), where)
        threshold = float(found[0].threshold[0])
    foreign = np.flatnonzero(data.foreign)
    if len(foreign) < 2 * GIVEN:
        return Judged(maps, areas, threshold)
    given = foreign[np.linspace(0, len(foreign) - 1, GIVEN).round().astype(int)]
    again, clean = {}, data.sets["clean"][given]
    for rate in AGAIN:
        monitor.calibrate(segmenter.batches(clean), false_alarm_rate=rate, keep_scales=True, reason="the new drive")
        again[rate] = float(monitor.check(next(segmenter.batches(clean[:1])))[1].threshold[0])
    network.close()
    return Judged(maps, areas, threshold, again, given)


def of_rivals(segmenter: Segmenter, data: Data, side: int) -> dict[str, Judged]:
    """What is read off the class scores, pixel by pixel, averaged over windows and over the same box of places."""
    network = OnnxNetwork(segmenter.path, classes="pixel")
    found = {
        name: [read_off(network.run(batch), side) for batch in segmenter.batches(images)]
        for name, images in (("val", data.val.images), *data.sets.items())
    }
    network.close()
    judged = {}
    for rival in found["val"][0]:
        maps = {name: box_means(np.concatenate([one[rival] for one in of]), SMOOTH) for name, of in found.items()}
        level = float(np.quantile(maps["val"], LEVEL))
        areas = {name: largest_areas(values, level) for name, values in maps.items()}
        held_out = np.sort(areas["val"].scores)
        rank = min(int(np.ceil((len(held_out) + 1) * (1 - ASKED))), len(held_out)) - 1
        judged[rival] = Judged(maps, areas, float(held_out[rank]))
    return judged


def read_off(scores: np.ndarray, side: int) -> dict[str, np.ndarray]:
    """Maps (n, h, w) of the rivals, larger = less sure, of class scores (n, classes, height, width)."""
    scores = torch.from_numpy(np.asarray(scores))
    shares = torch.softmax(scores, 1)
    values = {
        "max softmax": -shares.amax(1),
        "entropy": -(shares * torch.log(shares.clamp(min=1e-12))).sum(1),
        "max logit": -scores.amax(1),
        "energy": -torch.logsumexp(scores, 1),
    }
    return {name: nn.functional.avg_pool2d(value[:, None], side)[:, 0].numpy() for name, value in values.items()}


def figures_of(judged: Judged, data: Data) -> dict[str, Any]:
    """The raw figures of one method on one network, JSON types."""
    clean, animal = judged.areas["clean"], judged.areas["animal"]
    places = in_places(data.animals, animal.where.shape[1:])
    at = threshold_at(clean.scores)
    figures: dict[str, Any] = {
        "pixels": pixel_figures(judged.maps["animal"], data.labels),
        "at 10 %": {name: float(np.mean(hits(judged.areas[name], places, at))) for name in SETS[1:]},
        "IoU": {name: overlap(judged.areas[name], places) for name in SETS[1:3]},
        "asked": {
            "clean": counted(clean.scores > judged.threshold),
            "clean, foreign": counted(clean.scores[data.foreign] > judged.threshold),
            "animals": counted(hits(animal, places, judged.threshold)),
        },
    }
    figures["at 10 %"]["clean"] = float(np.mean(clean.scores > at))
    if judged.given is not None:
        rest = data.foreign.copy()
        rest[judged.given] = False
        figures["recalibrated"] = {
            f"{rate:g}": {
                "clean": counted(clean.scores[rest] > threshold),
                "animals": counted(hits(animal, places, threshold)[rest]),
                "control": counted(hits(judged.areas["control"], places, threshold)[rest]),
            }
            for rate, threshold in judged.again.items()
        }
    return figures


def counted(flags: np.ndarray) -> dict[str, float]:
    """How many of how many, and the interval of the share with 95 % confidence."""
    low, high = clopper_pearson(int(flags.sum()), len(flags))
    return {"count": int(flags.sum()), "of": len(flags), "low": low, "high": high}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True, help="the folder of CamVid's frames")
    parser.add_argument("--models", type=Path, required=True, help="the folder of ESPNet's weights")
    parser.add_argument("--network", choices=("espnet", "mobilenet"), default="espnet")
    parser.add_argument("--quick", action="store_true", help="every other frame, the default alone; nothing is kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = read_data(options.camvid, 2 if options.quick else 1)
    figures: dict[str, Any] = {
        "frames": len(data.labels), "foreign": int(data.foreign.sum()), "smooth": SMOOTH, "level": LEVEL,
        "asked": ASKED, "given": GIVEN, "most clean": MOST_CLEAN,
    }  # fmt: skip
    monitors: dict[str, Settings] = {DEFAULT: {}}
    if not options.quick:
        monitors |= SINGLE | (TRIED if options.network == "espnet" else {})
    with tempfile.TemporaryDirectory() as folder:
        network = opened(options.network, options.models, options.camvid, Path(folder))
        rows: dict[str, Judged] = {}
        for label, settings in monitors.items():
            rows[label] = of_monitor(network, data, settings)
            print(label, flush=True)
        side = data.labels.shape[1] // rows[DEFAULT].maps["clean"].shape[1]
        rows |= of_rivals(network, data, side)
    figures |= {"network": network.name, "rows": {label: figures_of(judged, data) for label, judged in rows.items()}}
    show(segmentation_tables.segmentation(figures))
    if not options.quick:
        keep(f"segmentation-{options.network}", figures)


if __name__ == "__main__":
    main()
