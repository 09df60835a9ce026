"""ONNX: `python -m benchmarks.cost.onnx` runs the monitor on models of many makes, beside them and inside their graph.

For each model of `benchmarks.onnx_models`: does it work, are the model's own outputs equal bit for bit, and do the
monitor outside and the one in the graph say the same? And what do both cost, compared with a session of the untouched
model? Figures are medians of paired ratios, on one thread. Each model is made and measured in processes of its own.
`--check` leaves out the timing.

What is kept is named after the kind of processor: `onnx`, and `onnx-avx512` for those with AVX-512.

`default` stands for the taps, criteria and logic that a monitor takes by itself; it is also timed outside.

Bars: in the graph 1.05, on float32 ResNet-18 1.03, the default 1.06; outside 1.06, on int8 1.10. The guarded file may
be 5 % larger than the model and its signatures together. A `!` marks what is beyond its bar.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from outrider.networks.cost import processor

from ..onnx_models import Model, chosen
from ..results import keep, load, names
from ..tables import show
from . import onnx_tables as tables
from .onnx_row import DEFAULT, criterion_of, measure, short

CRITERIA = (DEFAULT, "bitmap", "single_range", "multi_range(sections=32, cost=log)")
MEMORY = 6 << 30  # bytes that the process of one model may hold
PATIENCE = {"make": 900, "check": 900, "time": 3600}  # seconds for one process


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="*", metavar="GLOB", help="over the names; default: all")
    parser.add_argument("--check", action="store_true", help="no timing: does it work, are outputs equal")
    parser.add_argument(
        "--rounds", type=int, default=200, help="paired rounds per model, at most; default: %(default)s"
    )
    parser.add_argument(
        "--criterion", action="append", metavar="TEXT",
        help=f"such as 'single_range'; may be given more than once, the first but for `{DEFAULT}` is also timed outside"
        f" the graph; default: {', '.join(CRITERIA)}",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="put the rows of a part into the kept results")
    parser.add_argument("--row", metavar="NAME", help=argparse.SUPPRESS)  # the process of one model
    options = parser.parse_args()
    criteria = options.criterion or list(CRITERIA)
    try:
        models = chosen(options.row or options.models)
        for text in criteria:
            criterion_of(text)
    except ValueError as error:
        parser.error(str(error))
    if options.row:
        print(json.dumps(measure(models[0], criteria, 0 if options.check else options.rounds)))
        return 0
    passed_on = ["--check"] if options.check else ["--rounds", str(options.rounds)]
    passed_on += [argument for text in criteria for argument in ("--criterion", text)]
    rows = list(_each_in_its_process(models, passed_on))
    show(tables.onnx({"versions": versions(), "rows": rows}))
    whole = options.models == "*" and not options.check and not options.criterion
    if whole or options.keep:
        _keep(rows, whole=whole)
    return 0


def _each_in_its_process(models: Sequence[Model], passed_on: Sequence[str]) -> Iterator[dict[str, Any]]:
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    patience = PATIENCE["check" if "--check" in passed_on else "time"]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(models))
        for model in models:
            progress.update(task, description=model.name)
            row: dict[str, Any] = {"model": model.name, "exporter": model.exporter, "dtype": model.dtype}
            error = ""
            if not model.path.exists():
                _, error = _run(["benchmarks.onnx_models", model.name], PATIENCE["make"])
            if error:
                row["errors"] = {"make": short(error.removeprefix(f"{model.name}: "))}
            else:
                printed, error = _run(["benchmarks.cost.onnx", "--row", model.name, *passed_on], patience)
                row |= {"errors": {"run": short(error)}} if error else json.loads(printed.splitlines()[-1])
            console.print(f"{model.name}: {_summary(row)}", highlight=False, markup=False, soft_wrap=True)
            progress.advance(task)
            yield row


def _run(arguments: Sequence[str], patience: int) -> tuple[str, str]:
    """What a module printed that ran in a process of its own, and why it failed or nothing."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    watched = psutil.Process(process.pid)
    until = time.monotonic() + patience
    while True:
        try:
            printed, complaints = process.communicate(timeout=1)
            break
        except subprocess.TimeoutExpired:
            late, large = time.monotonic() > until, _held(watched) > MEMORY
            if late or large:
                process.kill()
                process.communicate()
                return "", f"stopped after {patience} seconds" if late else f"stopped at {MEMORY >> 30} GB of memory"
    if process.returncode == 0:
        return printed, ""
    last = (complaints.strip().splitlines() or ["nothing was printed"])[-1]
    return "", last if process.returncode > 0 else f"the process ended with signal {-process.returncode}: {last}"


def _held(process: psutil.Process) -> int:
    """Bytes that a process holds, mapped files included; 0 when it has just ended."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _summary(row: Mapping[str, Any]) -> str:
    if row["errors"]:
        return "; ".join(f"{stages}: {error}" for error, stages in tables.by_error(row).items())
    parts = [f"{row['taps']} taps", "works" if tables.works(row) else "does not work"]
    parts += [f"{name} {value:.3f}" for name, value in row.get("ratios", {}).items()]
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """Of the packages that make and run the models."""
    return {name: version(name) for name in ("onnxruntime", "torch", "torchvision", "onnx")}


def _keep(rows: Sequence[dict[str, Any]], *, whole: bool) -> None:
    """Keep the rows; those of a part replace their namesakes among the rows that are kept."""
    name = result_of(processor())
    if not whole and name in names():
        fresh = {row["model"]: row for row in rows}
        rows = [fresh.pop(row["model"], row) for row in load(name).figures["rows"]] + list(fresh.values())
    keep(name, {"versions": versions(), "rows": rows})


def result_of(machine: str) -> str:
    """The name of the result for a processor: those that are known to have AVX-512 are another kind."""
    return "onnx-avx512" if "AVX-512" in machine else "onnx"


if __name__ == "__main__":
    sys.exit(main())
