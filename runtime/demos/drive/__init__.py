"""The demo of the closed loop: a network drives, its camera fails, the guard brakes. It makes a table and a page."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ....networks.zoo.steering import WEIGHTS
from ..steps import PLAIN, told
from .experiment import FAST, FULL, DriveExperiment, frame_times, run_experiment
from .faults import FAULTS
from .loop import ALARM, FAULT_AT, FRAMES, FROZEN, DriveRecord, DriveTrial
from .page import outcome, render_page
from .trials import CHANGED, DEVELOPMENT, EVALUATION, changes, make_monitor, run_trials

__all__ = [
    "ALARM",
    "CHANGED",
    "DEVELOPMENT",
    "EVALUATION",
    "FAULTS",
    "FAULT_AT",
    "FRAMES",
    "FROZEN",
    "WEIGHTS",
    "DriveExperiment",
    "DriveRecord",
    "DriveTrial",
    "changes",
    "frame_times",
    "make_monitor",
    "results_table",
    "run_drive_demo",
    "run_trials",
]  # fmt: skip


def run_drive_demo(
    output: Path, *, fast: bool = False, retrain: bool = False, workers: int | None = None
) -> DriveExperiment:
    """Run the experiment, print its table and write its page to `output`.

    retrain: teach the network anew first and leave its weights beside the page. workers: processes, by default one for
    each of up to four cores. The drives are the same for any number.
    """
    console = Console(highlight=False)
    start = time.perf_counter()
    workers = workers or min(4, os.cpu_count() or 1)
    with told(console) as step:
        weights = WEIGHTS
        if retrain:
            from .school import teach, write_weights

            weights = output.absolute().parent
            write_weights(teach(step, rounds=1, tracks=2, epochs=(2, 2)) if fast else teach(step), weights)
        experiment = run_experiment(step, weights, FAST if fast else FULL, workers=workers)
        output.write_text(render_page(experiment), encoding="utf-8")
    console.print()
    console.print(results_table(experiment))
    false = sum(record.false_alarm for record in experiment.clean)
    console.print(
        f"\n{false} of {len(experiment.clean)} clean drives with a false alarm"
        f"\n{time.perf_counter() - start:.0f} s in all; the page is {output}"
    )
    return experiment


def results_table(experiment: DriveExperiment) -> Table:
    """A row per fault: how the drive ended without and with the guard, and how soon the guard alarmed."""
    table = Table("fault", "without the guard", "with the guard", "alarm", **PLAIN)
    for pair in experiment.pairs:
        delay = pair.guarded.delay
        alarm = "none" if delay is None else f"on frame {delay}"
        table.add_row(pair.fault, outcome(pair.bare), outcome(pair.guarded), alarm)
    return table
