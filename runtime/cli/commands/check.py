"""Hold data against a calibrated profile: exit status 0 when all are covered, 1 when any is not."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from rich.table import Column
from rich.text import Text

from ....monitor import Monitor, Status, Verdict
from ...inputs.joint import JointSource, open_frames
from ...inputs.sources import Source
from ...printable import counted, printable
from ..opening import learned_inputs, open_monitor
from ..printing import bare_table, finite, wide_console
from ..progress import progress_bar

_ROWS = 40
_STYLES = {Status.OK: "green", Status.WARN: "yellow"}


def run(options: argparse.Namespace) -> int:
    inputs = learned_inputs(options.profile)
    sources = [open_frames(data, options.rows, inputs) for data in options.data]
    total = sum(map(len, sources))
    alarms = faults = 0
    shown: list[tuple[str, Verdict]] = []
    monitor = open_monitor(options, calibrated=True)
    with closing(monitor.network), progress_bar("checking", total, quiet=options.quiet) as progress:
        for done, (name, verdict) in enumerate(_verdicts(monitor, sources, options.batch_size), 1):
            alarms += verdict.alarm
            faults += verdict.status == Status.FAULT
            if options.json:
                sys.stdout.write(json.dumps(frame_json(name, verdict)) + "\n")
            elif total <= _ROWS or (verdict.status != Status.OK and len(shown) < _ROWS):
                shown.append((name, verdict))
            progress(done)
    if not options.json:
        _print(shown, alarms, faults, total)
    return int(alarms > 0)


def _verdicts(monitor: Monitor, sources: list[Source | JointSource], batch_size: int) -> Iterator[tuple[str, Verdict]]:
    network = monitor.network
    for source in sources:
        start = 0
        for batch in source.batches(network.preprocessing, batch_size, network.inputs, network.reset):
            _, verdicts = monitor.check(batch[0] if isinstance(batch, tuple) else batch)
            yield from zip(source.names[start : start + len(verdicts)], verdicts, strict=True)
            start += len(verdicts)


def frame_json(name: str, verdict: Verdict) -> dict[str, Any]:
    """What `--json` says of a frame. Strict JSON: a number that is not finite is null."""
    return {
        "frame": name,
        "status": verdict.status.name.lower(),
        "alarm": verdict.alarm,
        "score": finite(verdict.score),
        "threshold": finite(verdict.threshold),
        "confidence": finite(verdict.confidence),
        "prediction": verdict.prediction,
        "layers": list(verdict.layers),
        "reason": verdict.reason,
    }


def _cause(verdict: Verdict) -> str:
    return verdict.layers[0] if verdict.layers and verdict.status < Status.FAULT else verdict.reason


def _print(shown: list[tuple[str, Verdict]], alarms: int, faults: int, total: int) -> None:
    console = wide_console()
    if shown:
        words = Column("frame", overflow="fold"), Column("status", no_wrap=True)
        numbers = (Column(of, no_wrap=True, justify="right") for of in ("score", "threshold", "confidence", "class"))
        table = bare_table(*words, *numbers, "why", gap=2)
        for name, verdict in shown:
            table.add_row(
                Text(printable(name)),
                f"[{_STYLES.get(verdict.status, 'bold red')}]{verdict.status.name}",
                f"{verdict.score:.4g}",
                f"{verdict.threshold:.4g}",
                f"{verdict.confidence:.3f}",
                str(verdict.prediction) if verdict.prediction >= 0 else "",
                Text(printable(_cause(verdict))),
            )
        console.print(table)
    of_these = f", {faults:,} of them faults" if faults else ""
    console.print(f"{counted(total, 'frame')}, {counted(alarms, 'alarm')} ({alarms / total:.2%}){of_these}")
