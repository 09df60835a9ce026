"""Detection: `python -m benchmarks.detection.detectors cifar10` prints how well each detector tells the columns.

The networks are those of `benchmarks.detection.experiments`. There are three splits. The network and the profile learn
from the first part of the training data. The last part sets the threshold, at 5 % false alarms. The test data, and
images made from them, are judged. An attack counts where it changed the prediction. No threshold saw a column of the
table. Of traffic signs whole tracks are held out, each track counts as one, and classes have thresholds of their own.

The default configuration was chosen on held-out training images of all four networks, and on changes of them and
attacks on them. Detectors of other libraries run by their own code on the same network. Each gets one threshold from
the same held-out images in the same way. Slow ones judge fewer images of each column: the table of settings says it.

Scores stay in the cache, a file for each detector. What has not changed is not run again. `--only` runs one part and
keeps no result; a run of everything afterwards finds its scores.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..keys import code_key, digest, sketch
from ..results import FOLDER, keep
from ..tables import show
from . import tables
from .attacks import EvaluationSet
from .experiments import NAMES, Experiment, experiment
from .kept import Scores, kept
from .rivals import catalogue
from .rivals.rival import Ground, Judged, Rival, run_rival
from .rows import Row, our_rows
from .scoring import accuracy, judged, our_scores, sizes

SLOW = "units"
"""The part that a quick run goes without."""
OURS = ("default", "channels", SLOW)
PARTS = (*OURS, *catalogue.LIBRARIES)
LIMITS = {"mobilenet": (250, 1500)}
"""How many images of a column a slow rival judges, and how many it learns from, where the network is slow too."""
QUICK_LIMITS = (50, 500)
OF_DATA = [
    f"benchmarks/{path}.py"
    for path in (
        "detection/experiments",
        "detection/attacks",
        "detection/changes",
        "detection/photographs",
        "detection/traffic_signs",
        "onnx_models",
    )
]
"""Code that makes data and networks, which are in a key themselves."""
NO_DATA = 3
"""The exit status where data or weights are missing."""


class CannotRunError(Exception):
    """Why a rival did not run, which it may another time."""


class Run:
    """One network, its columns, and the rows as they are made. anew: whether scores in the cache are made again."""

    def __init__(self, name: str, *, quick: bool = False, anew: bool = False):
        self.experiment: Experiment = experiment(name, quick=quick)
        self.quick, self.anew = quick, anew
        self.columns: list[EvaluationSet] = self.experiment.columns()
        self.ground_key = ground_key(self.experiment, self.columns)
        self.rows: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, str] = {}

    def ours(self, parts: Sequence[str]) -> None:
        """Rows of ours that belong to some of `OURS`."""
        rows, left_out = our_rows(self.experiment)
        self.left_out |= left_out if "units" in parts else {}
        self.add([row for row in rows if row.group in parts])

    def add(self, rows: Sequence[Row]) -> None:
        """Rows of ours. What one of them raises is raised: no table goes without it."""
        for row in rows:
            self._add(row.name, row.key(), lambda row=row: our_scores(row.make, self.experiment, self.columns))

    def rivals(self, library: str) -> None:
        """The rows of a library."""
        found = catalogue.library(library)
        self.left_out |= found.left_out
        for rival in map(self._bounded, found.rivals):
            settings = (rival.name, rival.setting, rival.limit, rival.profiled, found.version)
            self._add(
                rival.name, digest(settings, code_key(found.file, without=OF_DATA)),
                lambda rival=rival: _or_why(lambda: _installed(library) and run_rival(rival, self._ground, self._sets)),
            )  # fmt: skip

    @cached_property
    def _ground(self) -> Ground:
        seen = self.experiment.seen
        assert seen.labels is not None
        return Ground(self.experiment.module, seen.images, seen.labels)

    @cached_property
    def _sets(self) -> Judged:
        images = [column.images for column in self.columns]
        return Judged(self.experiment.held_out.floats(), images, self.experiment.calibrate.get("drives"))

    def figures(self) -> dict[str, Any]:
        """What is known of every row that was run."""
        made = self.experiment
        splits = {"profile": len(made.seen), "calibration": len(made.held_out), "test": len(made.clean)}
        return {
            "dataset": made.name,
            "network": made.title,
            "accuracy": accuracy(made.module, made.clean),
            "splits": splits,
            "columns": sizes(self.columns),
            "rows": self.rows,
            "left_out": self.left_out,
        }

    def _bounded(self, rival: Rival) -> Rival:
        """A rival that judges few images, with fewer of a slow network and in a quick run."""
        limit, profiled = QUICK_LIMITS if self.quick else LIMITS.get(self.experiment.name, (None, None))
        if rival.limit is None or limit is None:
            return rival
        return replace(rival, limit=min(rival.limit, limit), profiled=min(rival.profiled or profiled, profiled))

    def _add(self, name: str, key: str, make: Callable[[], Scores]) -> None:
        began = time.perf_counter()
        whole = digest(self.ground_key, key)
        try:
            scores = kept(f"{self.experiment.name} {name}", whole, make, anew=self.anew)
        except (ImportError, CannotRunError) as error:  # what may run another time is no failure to remember
            self.left_out[name] = str(error)
            return
        why = scores.facts.get("failed")
        if why:
            self.left_out[name] = f"failed: {why}"
        else:
            self.rows[name] = judged(scores, [column.name for column in self.columns], self._few())
        print(f"{name}: {why or f'{time.perf_counter() - began:.0f} s'}", flush=True)
        for warning in scores.facts.get("warnings", []):
            print(f"  {warning}")

    def _few(self) -> np.ndarray:
        clean = self.experiment.clean.labels
        assert clean is not None
        return self.experiment.few[clean]


def _installed(library: str) -> bool:
    """True. Raises ImportError with the reason where a library cannot run here."""
    why = catalogue.missing(library)
    if why:
        raise ImportError(why)
    return True


def _or_why(make: Callable[[], Scores]) -> Scores:
    """The scores, or none and why: a rival that fails is reported, not hidden. Lack of room is raised, not kept."""
    try:
        return make()
    except ImportError:
        raise
    except (MemoryError, OSError) as error:
        raise CannotRunError(f"failed: {_in_a_line(error)}") from error
    except Exception as error:
        return Scores([], [], None, {"failed": _in_a_line(error)})


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {''.join(str(error).splitlines()[:1])}"


def ground_key(made: Experiment, columns: Sequence[EvaluationSet]) -> str:
    """A key of the network, of what is learned from, and of what is judged."""
    weights = [value.cpu().numpy() for _, value in sorted(made.module.state_dict().items())]
    splits = [made.seen.images, made.seen.labels, made.held_out.images]
    options = [value for _, value in sorted(made.calibrate.items())]
    return digest(made.name, *weights, *splits, *options, *((c.name, len(c.images), sketch(c.images)) for c in columns))


def run(name: str, parts: Sequence[str] = PARTS, *, quick: bool = False, anew: bool = False) -> dict[str, Any]:
    """The figures of a network with the rows of some parts. Raises FileNotFoundError where its data are missing."""
    torch.set_num_threads(1)
    found = Run(name, quick=quick, anew=anew)
    found.ours([part for part in parts if part in OURS])
    for part in parts:
        if part in catalogue.LIBRARIES:
            found.rivals(part)
    return found.figures()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NAMES, nargs="?", default="fashion-mnist")
    parser.add_argument("--only", choices=("columns", *PARTS), nargs="+", help="parts to run; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="small samples, no rows of units; no result changes")
    parser.add_argument("--anew", action="store_true", help="run what the cache holds again")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the figures go")
    options = parser.parse_args()
    try:
        parts = options.only or [part for part in PARTS if not (options.quick and part == SLOW)]
        figures = run(options.network, parts, quick=options.quick, anew=options.anew)
    except FileNotFoundError as error:
        print(error)
        return NO_DATA
    if figures["rows"]:
        show(tables.detectors(figures))
    if not options.only and (not options.quick or options.folder != FOLDER):
        keep(f"detection-{options.network}", figures, options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
