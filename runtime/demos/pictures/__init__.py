"""The demo with pictures: a table on the terminal, and a page that shows what is behind it."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from ..steps import PLAIN, told
from .experiment import ATTACKED, CORRUPTED, COVERED, STRANGE, Experiment, run_experiment
from .page import KINDS, percent, render_page

_STYLES = {COVERED: "cyan", STRANGE: "yellow", CORRUPTED: "magenta", ATTACKED: "red"}


def run_demo(output: Path, *, fast: bool = False) -> Experiment:
    """Run the experiment, print its table and write its page to `output`."""
    console = Console(highlight=False)
    start = time.perf_counter()
    with told(console) as step:
        experiment = run_experiment(step, fast=fast)
        output.write_text(render_page(experiment), encoding="utf-8")
    console.print()
    console.print(results_table(experiment))
    console.print(
        "\nright: classified right by the network; sure: its softmax is 0.9 or more"
        f"\none frame takes {experiment.bare * 1e3:.2f} ms bare, {experiment.monitored * 1e3:.2f} ms monitored"
        f" (medians of single frames, alternating)\n{time.perf_counter() - start:.0f} s in all; the page is {output}"
    )
    return experiment


def results_table(experiment: Experiment) -> Table:
    """A row per set of inputs: how many, the share flagged, AUROC, how often the network was right, and how sure."""
    numbers = (Column(name, justify="right") for name in ("n", "flagged", "AUROC", "right", "sure"))
    table = Table("inputs", *numbers, **PLAIN)
    for kind, title in KINDS.items():
        table.add_row(f"[{_STYLES[kind]}]{title}[/]")
        for outcome in experiment.outcomes:
            if outcome.inputs.kind == kind:
                table.add_row(
                    f"  {outcome.inputs.name}",
                    str(len(outcome.verdicts)),
                    percent(outcome.flagged),
                    "" if outcome is experiment.test else f"{outcome.auroc:.3f}",
                    "" if outcome.right is None else percent(outcome.right),
                    percent(outcome.sure),
                )
    return table
