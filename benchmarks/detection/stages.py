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
from collections.abc import Callable

from outrider.coverage import CoverageBitmap
from outrider.monitor import Monitor, ZScore

from ..results import keep
from ..tables import show
from . import experiments, tables
from .scoring import accuracy, judged, our_scores, sizes

TAPS: dict[str, dict] = {
    tables.DEFAULT: {},
    "default, taps stages": {"taps": "stages"},
    "default, taps stages and first:unit": {"taps": ("stages", "first:unit")},
    "default, taps auto": {"taps": "auto"},
}


def monitors(experiment: experiments.Experiment) -> tuple[dict[str, Callable[[], Monitor]], dict[str, list[str]]]:
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
    for choice in ("auto", "stages") if experiment.name == "mobilenet" else ():
        rows[f"bitmap, z of log, taps {choice}"] = lambda choice=choice: Monitor(
            experiment.network(taps=choice), CoverageBitmap(), logic=ZScore()
        )
    return rows, taps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=experiments.NAMES, nargs="?", default="mobilenet")
    chosen = parser.parse_args().network
    experiment = experiments.experiment(chosen)
    columns = experiment.columns()
    makers, taps = monitors(experiment)
    rows = {}
    for name, make in makers.items():
        began = time.perf_counter()
        found = our_scores(make, experiment.seen, experiment.held_out, columns)
        rows[name] = judged(found.pop("scores"), found["threshold"], columns) | found
        print(f"{name}: {time.perf_counter() - began:.0f} s", *rows[name]["warnings"], sep="\n  ", flush=True)
    splits = {"profile": experiment.seen, "calibration": experiment.held_out, "test": experiment.clean}
    figures = {
        "network": experiment.name,
        "accuracy": accuracy(experiment.module, experiment.clean),
        "splits": {name: len(split) for name, split in splits.items()},
        "columns": sizes(columns),
        "taps": taps,
        "rows": rows,
    }
    show(tables.stages(figures))
    keep(f"stages-{chosen}", figures)


if __name__ == "__main__":
    main()
