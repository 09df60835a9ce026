"""Is the kind of an alarm named right? `python -m benchmarks.places.kinds cifar10 gtsrb --keep`.

The default monitor of each network learns kinds on its held-out images. Then it judges conditions that learning never
saw: corruptions of ImageNet-C by the library imagecorruptions, faults of sensors, attacks that follow gradients, sets
of other images, and attacks that end on a boundary between two classes. Only images that alarm have a kind.
`--choosing` shows conditions made of held-out training images: the strengths of the examples were chosen on those.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from outrider.monitor import Monitor, OutriderWarning
from outrider.monitor.kinds import KINDS
from outrider.runtime.evaluation import FAULTS, corrupted, faulty

from ..detection.experiments import Experiment, experiment
from ..results import keep
from ..tables import show
from . import kinds_tables as tables

NAMES = "cifar10", "gtsrb"
RATE = 0.05
BATCH, IMAGES = 100, 100
PROFILED, OF_COLUMN = 12_000, 300
"""Of how many images a profile is made, and how many of a column of the tables of detection are judged, at most."""
SEVERITY = 3
OF_NOISE = "gaussian_noise", "shot_noise", "impulse_noise"
OF_BLUR = "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"
OF_WEATHER = "snow", "frost", "fog", "brightness"
OF_READING = "contrast", "elastic_transform", "pixelate", "jpeg_compression"
LIKE_LEARNED = (
    "dead-rows",
    "dead-columns",
    "dead-pixels",
    "noise-bands",
    "channel-lost",
    "over-exposed",
    "under-exposed",
)
"""Faults of which examples of other strengths were learned."""
STRANGE_TO_LEARNING = "rows-shifted", "bits-shifted", "black", "white"
ON_BOUNDARY = "DeepFool", "CW"


class Condition(NamedTuple):
    """Images that are all of one kind, "" for clean ones. group: what they have in common."""

    name: str
    kind: str
    group: str
    images: np.ndarray


def conditions(made: Experiment) -> Iterator[Condition]:
    """The test conditions of an experiment, the clean images first."""
    for column in made.columns():
        chosen = column.images[np.random.default_rng(0).permutation(len(column.images))[:OF_COLUMN]]
        if column.name == "test":
            yield Condition("clean", "", "clean", column.images[:: max(1, len(column.images) // 1000)])
        elif column.name.startswith(("FGSM", "PGD")):
            yield Condition(column.name, "adversarial", "attacks along gradients", chosen)
        elif column.name.startswith(ON_BOUNDARY):
            yield Condition(column.name, "unsure", "attacks to the boundary", chosen)
        elif column.name in ("dark", "fog", "blur", "grain"):
            yield Condition(column.name, "sensor", "as a camera spoils them", chosen)
        elif column.name != "noise":  # which is nothing that a camera could show
            yield Condition(column.name, "unfamiliar", "other content", chosen)
    images = made.clean.floats()
    images = images[np.random.default_rng(0).permutation(len(images))[:IMAGES]]
    for group, names in (
        ("noise", OF_NOISE), ("blur", OF_BLUR), ("weather", OF_WEATHER), ("reading and storing", OF_READING),
    ):  # fmt: skip
        for name in names:
            spoiled = np.stack([corrupted(image, name, SEVERITY, i, white=1.0) for i, image in enumerate(images)])
            yield Condition(name.replace("_", " "), "sensor", group, spoiled)
    for group, faults in (("faults as learned", LIKE_LEARNED), ("faults not learned", STRANGE_TO_LEARNING)):
        for name in faults:
            if len(images[0]) > 1 or not FAULTS[name].coloured:
                broken = np.stack([faulty(image, name, i, white=1.0) for i, image in enumerate(images)])
                yield Condition(name, "sensor", group, broken)


def named(monitor: Monitor, images: np.ndarray, batch: int) -> list[str]:
    """The kind of each of the images that alarm, (n, ...) as the network takes them."""
    found: list[str] = []
    for start in range(0, len(images), batch):
        _, verdicts = monitor.check(np.ascontiguousarray(images[start : start + batch], np.float32))
        found += [verdict.kind for verdict in verdicts if verdict.alarm]
    return found


def rows(monitor: Monitor, some: Iterator[Condition], batch: int = BATCH) -> list[dict[str, Any]]:
    """A row for each condition: how many images, how many of them alarm, and how many of these are of each kind."""
    found = []
    for one in some:
        kinds = named(monitor, one.images, batch)
        counts = {kind: kinds.count(kind) for kind in KINDS}
        found.append(
            {"name": one.name, "kind": one.kind, "group": one.group, "images": len(one.images), "alarms": len(kinds)}
            | {"named": counts}
        )
        print(f"{one.name}: {len(kinds)} of {len(one.images)} alarm, {counts}", flush=True)
    return found


def taught(made: Experiment) -> Monitor:
    """The default monitor of an experiment, which has learned kinds on the images that set its threshold."""
    monitor = Monitor(made.network())

    def batches(images: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((images[i : i + BATCH].floats(), images[i : i + BATCH].labels) for i in range(0, len(images), BATCH))

    monitor.profile(batches(made.seen[:: max(1, len(made.seen) // PROFILED)]))
    monitor.calibrate((x for x, _ in batches(made.held_out)), RATE, **made.calibrate)
    monitor.learn_kinds(x for x, _ in batches(made.held_out))
    return monitor


def run(name: str, *, choosing: bool = False, quick: bool = False) -> dict[str, Any]:
    """The figures of one network."""
    made = experiment(name, choosing=choosing, quick=quick)
    monitor = taught(made)
    return {
        "title": made.title,
        "rate": RATE,
        "learned": monitor.describe()["calibration"]["kinds"],
        "rows": rows(monitor, conditions(made)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--choosing", action="store_true", help="conditions made of held-out training images")
    parser.add_argument("--quick", action="store_true", help="small samples of everything")
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", OutriderWarning)
    for name in options.networks:
        figures = run(name, choosing=options.choosing, quick=options.quick)
        show(tables.kinds(figures))
        if options.keep and not options.choosing and not options.quick:
            keep(f"kinds-{name}", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
