"""Safety tuning and jailbreaks on the synthetic testbed: `python -m benchmarks.studies.testbed`.

Trains a base and six tuned models for each seed, and scores them. What is done stays in the folder: a run that was cut
off goes on, and seeds may run beside each other, each with `--seeds N`; the last call shows all. On a GPU seeds run
beside each other by themselves.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from outrider.networks import cache_folder

from ...results import keep
from ...tables import show
from .sizes import FULL, LARGE, QUICK
from .tables import testbed
from .work import of_seed

NAME = "studies-testbed"
SEEDS = (0, 1, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score and show."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.testbed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = cache_folder() / "benchmarks" / "studies" / "testbed"
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help=f"default: {SEEDS}; with --quick {SEEDS[:1]}")
    parser.add_argument("--folder", type=Path, default=default, help="of models and scores; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a glance: one seed, a tiny model, few steps")
    parser.add_argument("--large", action="store_true", help="the paper's batch, four families, for a GPU")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    sizes = QUICK if options.quick else LARGE if options.large else FULL
    folder = (
        options.folder / "quick" if options.quick else options.folder / "large" if options.large else options.folder
    )
    seeds = options.seeds or (SEEDS[:1] if options.quick else SEEDS)
    if options.device != "cpu" and len(seeds) > 1:
        _beside(seeds, options)
    parts = {}
    for seed in seeds:
        began = time.monotonic()
        parts[seed] = of_seed(folder / f"seed-{seed}", seed, sizes, options.device, _Said(seed))
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
    figures = {"seeds": {str(seed): part for seed, part in parts.items()}, "quick": options.quick}
    show(testbed(figures))
    if options.keep:
        keep(NAME, figures)


def _beside(seeds: Sequence[int], options: argparse.Namespace) -> None:
    """Each seed in a process of its own; they share the device."""
    command = [sys.executable, "-m", "benchmarks.studies.testbed", "--folder", str(options.folder)]
    command += ["--device", options.device, "--threads", str(options.threads)]
    command += ["--quick"] * options.quick + ["--large"] * options.large
    running = [subprocess.Popen([*command, "--seeds", str(seed)], stdout=subprocess.DEVNULL) for seed in seeds]
    failed = [seed for seed, one in zip(seeds, running, strict=True) if one.wait()]
    if failed:
        raise SystemExit(f"expected every seed to come through, got errors for {failed}: see above")


class _Said:
    """Prints a line when a model is begun and at each fifth of its steps."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, name: str, done: int, total: int) -> None:
        if total and done % max(total // 5, 1) == 0:
            print(f"seed {self.seed}, {name}: {done} of {total} steps", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
