"""An attacker who knows everything: `python -m benchmarks.detection.adaptive [--quick] [--keep]`.

For each network, monitor and epsilon: on how many test images, all classified correctly, the network is fooled without
an alarm, by an attack that knows no monitor and by one that knows it. Every verdict is the monitor's own. The default
monitors of the first table have profiles of all training images; single criteria and the networks of the second table
learn from 10,000 and are calibrated on 2,000. Single criteria are attacked with the larger epsilon alone.

What was attacked already is read from the cache. `--anew` attacks again. `--keep` writes the raw figures for
`benchmarks.report`. `--only` runs the cells whose network and monitor hold a text. `--quick` runs few images of
Fashion-MNIST and keeps nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from outrider.coverage import parse_criterion
from outrider.monitor import Monitor
from outrider.monitor.evaluation.adaptive import STRATEGIES, attack
from outrider.networks import ImageSet, TorchNetwork, cache_folder, trained

from ..keys import code_key, digest, files_under
from ..results import keep
from ..tables import show
from . import adaptive_tables
from .detectors import NO_DATA
from .experiments import Experiment, experiment
from .rows import Row
from .scoring import RATE, batches

DEFAULT, FEW_PROFILED = "default", "default, 10,000 profiled"
PROFILED, HELD_OUT = 10_000, 2_000
UNSURE = 0.5
"""Networks that are harder to fool are seldom sure of 0.9; both are profiled with this confidence there."""
CLEAN = 2_000
TRUSTED = 1_000
SQUARE = "default, verdicts alone"
QUERIES = 500
EPSILONS = {
    "cifar10": {"2/255": 2 / 255, "4/255": 4 / 255, "8/255": 8 / 255},
    "fashion-mnist": {"0.03": 0.03, "0.1": 0.1},
}
OF_MONITORS = {"cifar10": ("2/255", "8/255"), "fashion-mnist": ("0.03", "0.1")}
ROBUST = {"cifar10": "resnet-cifar10-robust", "fashion-mnist": "lenet-fashion-mnist-robust"}


@dataclass(frozen=True)
class Single:
    """One criterion alone. where: the selector of its taps. taps, neurons: of the network."""

    criterion: str
    where: str = "*"
    taps: str = "auto"
    neurons: str = "channel"
    logic: str = "z"


SINGLES = {
    "single ranges of units (SRC)": Single("single_range", neurons="unit", logic="sum"),
    "multi ranges of channels (MRC, 16)": Single("multi_range(sections=16)"),
    "bitmap of channels": Single("bitmap"),
    "boxes of channels": Single("box"),
    "patterns of the first units": Single("pattern", taps="first", neurons="unit", logic="sum"),
    "Mahalanobis of channels": Single("mahalanobis"),
    "relative Mahalanobis of channels": Single("relative_mahalanobis"),
    "softmax": Single("softmax", "@output", logic="sum"),
    "margin": Single("margin", "@output", logic="sum"),
}


@dataclass(frozen=True)
class Cell:
    """What is attacked how: a data set, its network or the robust one, a monitor, an epsilon, and so many images."""

    data: str
    robust: bool
    monitor: str
    epsilon: str
    attempts: int

    @property
    def whole(self) -> bool:
        """Whether the profile is of all training images."""
        return self.monitor in (DEFAULT, SQUARE) and not self.robust


def cells(quick: bool) -> Iterator[Cell]:
    """All cells, those of the default first."""
    if quick:
        for name in (FEW_PROFILED, "bitmap of channels"):
            yield Cell("fashion-mnist", False, name, "0.1", 10)
        yield Cell("fashion-mnist", True, FEW_PROFILED, "0.1", 10)
        return
    for data, epsilons in OF_MONITORS.items():
        yield from (Cell(data, False, DEFAULT, epsilon, 200) for epsilon in epsilons)
    for data, epsilons in EPSILONS.items():
        attempts = 100 if data == "cifar10" else 200
        yield from (Cell(data, robust, FEW_PROFILED, e, attempts) for robust in (False, True) for e in epsilons)
    for data, epsilons in OF_MONITORS.items():
        yield from (Cell(data, False, name, epsilons[1], 50) for name in (SQUARE, *SINGLES))


@cache
def tested(data: str, robust: bool) -> Experiment:
    """The experiment of a data set with its own network, or with the one that is harder to fool."""
    found = experiment(data)
    if not robust:
        return found
    module = trained(ROBUST[data])
    return replace(found, module=module, network=partial(TorchNetwork, module, found.clean.images.shape[1:]))


def unfit(cell: Cell) -> Monitor:
    """The monitor of a cell before it has learned."""
    network = tested(cell.data, cell.robust).network
    if cell.monitor not in SINGLES:
        return Monitor(network())
    single = SINGLES[cell.monitor]
    criteria = {single.where: parse_criterion(single.criterion)}
    return Monitor(network(taps=single.taps, neurons=single.neurons), criteria, logic=single.logic)


def key_of(cell: Cell, monitor: Monitor, quick: bool) -> str:
    """What tells monitors apart: network, criteria, taps, logic, data, and the code of all these."""
    criterion = parse_criterion(SINGLES[cell.monitor].criterion) if cell.monitor in SINGLES else None
    parts = (
        Row(cell.monitor, "", criterion, lambda: monitor).key(),
        data_key(cell.data),
        repr(monitor),
        monitor.columns,
        monitor.network.fingerprint,
        cell.whole,
        cell.monitor == FEW_PROFILED,
        quick,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@cache
def data_key(data: str) -> str:
    """A key of what is learned from, and of what is attacked."""
    made = experiment(data)
    return digest(*(part for split in (made.seen, made.held_out, made.clean) for part in (split.images, split.labels)))


def attack_key() -> str:
    """A key of the code of the attacks."""
    tables = "benchmarks/tables.py", "benchmarks/results.py", "benchmarks/detection/adaptive_tables.py"
    return code_key(Path(__file__), *files_under("monitor/evaluation/adaptive"), without=tables)


class Monitors:
    """Monitors that learned, from the cache where they are there, and how many false alarms each gives."""

    def __init__(self, folder: Path, anew: bool, quick: bool) -> None:
        self._folder, self._anew, self._quick = folder, anew, quick
        self._made: dict[str, tuple[Monitor, dict]] = {}

    def of(self, cell: Cell) -> tuple[Monitor, dict]:
        """The calibrated monitor, and what came of the first test images: false alarms, and how many were right."""
        monitor = unfit(cell)
        key = key_of(cell, monitor, self._quick)
        if key not in self._made:
            self._made.clear()
            self._made[key] = self._learned(key, monitor, cell)
        return self._made[key]

    def _learned(self, key: str, monitor: Monitor, cell: Cell) -> tuple[Monitor, dict]:
        tests = tested(cell.data, cell.robust)
        path = self._folder / f"adaptive-{key}.outrider"
        if path.is_file() and not self._anew:
            monitor = Monitor.load(path, monitor.network)
        else:
            seen, held_out = (tests.seen, tests.held_out) if cell.whole else few(tests, self._quick)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                monitor.profile(batches(seen), trusted_confidence=UNSURE if cell.monitor == FEW_PROFILED else 0.9)
                monitor.calibrate((images for images, _ in batches(held_out)), RATE)
            if not self._quick:
                monitor.save(path)
        clean = tests.clean[: 500 if self._quick else CLEAN]
        seen = [(monitor.check(images)[1], labels) for images, labels in batches(clean)]
        return monitor, {
            "false_alarms": float(np.concatenate([verdicts.alarm for verdicts, _ in seen]).mean()),
            "right": float(np.concatenate([verdicts.prediction == labels for verdicts, labels in seen]).mean()),
        }


def few(tests: Experiment, quick: bool) -> tuple[ImageSet, ImageSet]:
    """Fewer images to profile, and for the threshold."""
    return tests.seen[: 2_000 if quick else PROFILED], tests.held_out[: 500 if quick else HELD_OUT]


@torch.no_grad()
def right(tests: Experiment, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first test images that the network classifies correctly, and their classes."""
    images, labels = tests.clean[: 2 * count + 100].floats(), tests.clean.labels[: 2 * count + 100]
    found = torch.cat([tests.module(part).argmax(1) for part in torch.from_numpy(images).split(100)]).numpy() == labels
    return images[found][:count], labels[found][:count]


def attacked(cell: Cell, monitor: Monitor, report: Callable[[str], object]) -> dict:
    """The figures of a cell."""
    tests = tested(cell.data, cell.robust)
    images, labels = right(tests, cell.attempts)
    began = time.process_time()
    blind, slow = cell.monitor == SQUARE, cell.robust and cell.data == "cifar10"
    found = attack(
        Unopened(monitor) if blind else monitor,
        images,
        labels,
        EPSILONS[cell.data][cell.epsilon],
        trusted=None if blind else tests.seen[:TRUSTED].floats(),
        strategies=STRATEGIES[1:4] if slow else STRATEGIES,
        persistent=not slow and cell.monitor not in SINGLES,
        queries=QUERIES if blind else 0,
        report=report,
    )
    return {
        "fooled": float(found.fooled.mean()),
        "fooled_alone": float(found.fooled_alone.mean()),
        "alone": float(found.evaded_alone.mean()),
        "evaded": float(found.evaded.mean()),
        "tried": {name: list(counts) for name, counts in found.tried.items()},
        "seconds": round(time.process_time() - began, 1),
    }


def remember(path: Path, key: str, figures: dict) -> None:
    """Add a cell to those of the cache, which another run may have added to meanwhile."""
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    whole = path.with_suffix(".partial")
    whole.write_text(json.dumps(known | {key: figures}), "utf-8")
    whole.replace(path)


class Unopened:
    """A monitor whose network shows no module: whoever attacks it sees what `check` returns."""

    def __init__(self, monitor: Monitor) -> None:
        self.check, self.calibration, self.learned = monitor.check, monitor.calibration, monitor.learned
        self.network = _Closed(monitor.network)


class _Closed:
    def __init__(self, network: TorchNetwork) -> None:
        self.classes, self.scores_output = network.classes, network.scores_output


def main() -> int:
    """Run the cells. Returns the exit status, which is `NO_DATA` where data are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few images of Fashion-MNIST, in a minute")
    parser.add_argument("--keep", action="store_true", help="write the raw figures")
    parser.add_argument("--anew", action="store_true", help="learn and attack again what the cache holds")
    parser.add_argument("--only", default="", help="cells whose data set, network or monitor holds this text")
    options = parser.parse_args()
    try:
        return run(options)
    except FileNotFoundError as error:
        print(error)
        return NO_DATA


def run(options: argparse.Namespace) -> int:
    """Run the cells that are not known, and show all. Raises FileNotFoundError where data are missing."""
    folder = cache_folder() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / "adaptive.json"
    known = json.loads(stored.read_text("utf-8")) if stored.is_file() and not (options.anew or options.quick) else {}
    monitors, rows, of_attacks = Monitors(folder, options.anew, options.quick), [], attack_key()
    plan = list(cells(options.quick))
    for number, cell in enumerate(plan, 1):
        name = f"{cell.data}{' robust' if cell.robust else ''}, {cell.monitor}, {cell.epsilon}"
        told = key_of(cell, unfit(cell), options.quick), of_attacks, cell, STRATEGIES, QUERIES, TRUSTED
        key = hashlib.sha256(repr(told).encode()).hexdigest()
        if key not in known:
            if options.only not in name:
                continue
            print(f"[{number}/{len(plan)}] {name}", flush=True)
            monitor, clean = monitors.of(cell)
            known[key] = clean | attacked(cell, monitor, lambda line: print(f"    {line}", flush=True))
            if not options.quick:
                remember(stored, key, known[key])
        rows.append(asdict(cell) | {"whole": cell.whole} | known[key])
    figures = {"cells": rows}
    show(adaptive_tables.adaptive(figures))
    if options.keep and not options.quick and len(rows) == len(plan):
        keep("adaptive", figures)
    elif options.keep:
        print(f"Nothing is kept: {len(rows)} of {len(plan)} cells were asked for.")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
