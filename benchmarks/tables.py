"""What the benchmarks share: paired timing, a printed table, raw JSON beside it."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def paired(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 20) -> dict[str, np.ndarray]:
    """Seconds of each candidate, (rounds,) each: one call of every one a round, in turning order."""
    names = list(candidates)
    for _ in range(warm_up):
        for call in candidates.values():
            call()
    times = {name: np.empty(rounds) for name in names}
    for i in range(rounds):
        for k in range(len(names)):
            name = names[(i + k) % len(names)]
            began = time.perf_counter()
            candidates[name]()
            times[name][i] = time.perf_counter() - began
    return times


def ratio(times: Mapping[str, np.ndarray], name: str, base: str) -> float:
    """The median of the paired ratios of two candidates."""
    return float(np.median(times[name] / times[base]))


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, the first column to the left and the others to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=200).print(table)


def keep(name: str, result: Any) -> None:
    """Write `result`, JSON types, with the machine it was measured on, to results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine, "result": result}, indent=1) + "\n")
    print(f"raw figures: benchmarks/results/{path.name}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
