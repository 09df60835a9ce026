"""Hold data against a calibrated profile: exit status 0 when all are covered, 1 when any is not."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from rich.table import Column
from rich.text import Text

from ....monitor import Monitor, Status, Verdict
from ....monitor.boxes import BoxVerdict
from ....monitor.places import Region
from ...inputs.joint import JointSource, open_frames
from ...inputs.learned_pictures import comparing
from ...inputs.sources import Source
from ...outlets.map_folder import MapFolder
from ...printable import counted, printable
from ..opening import learned_inputs, open_monitor
from ..printing import bare_table, finite, wide_console
from ..progress import progress_bar
from ..reading import advised, reading_facts, reading_words, refuse_unread, with_policy

_ROWS = 40
CONFIDENCE = "* the monitor's own, 0.5 at the threshold: how covered the frame is, not the network's softmax"
_STYLES = {Status.OK: "green", Status.WARN: "yellow"}


def run(options: argparse.Namespace) -> int:
    inputs = learned_inputs(options.profile, options.key)
    sources = [with_policy(open_frames(data, options.rows, inputs), options.on_error) for data in options.data]
    seen = _Seen(options.json, sum(map(len, sources)))
    monitor = open_monitor(options, calibrated=True)
    try:
        maps = None if options.maps is None else MapFolder(options.maps, monitor)
        with (
            closing(monitor.network),
            advised(),
            progress_bar("checking", seen.total, quiet=options.quiet) as progress,
        ):
            faults = options.on_error == "alarm"
            for name, verdict, sample in _verdicts(monitor, sources, options.batch_size, faults=faults):
                seen.add(name, verdict)
                if maps is not None:
                    maps.add(name, verdict, sample)
                progress(seen.frames)
    except BaseException:
        seen.print_table()  # of those before
        raise
    if options.on_error == "skip":
        for source in sources:
            refuse_unread(source)
    seen.finish(reading_facts(sources))
    if maps is not None and not options.json:
        wide_console().print(str(maps), markup=False)
    return int(seen.alarms > 0)


def _verdicts(
    monitor: Monitor, sources: list[Source | JointSource], batch_size: int, *, faults: bool
) -> Iterator[tuple[str, Verdict, Any]]:
    """Every frame's name, verdict and sample, in order. faults: whether one that cannot be read has one too."""
    network, preprocessing = monitor.network, comparing(monitor)
    for source in sources:
        unread = source.problems if faults and source.problems is not None else {}
        done = 0
        for rows, batch in source.rows(preprocessing, batch_size, network.inputs, network.reset):
            _, verdicts = monitor.check(batch)
            for i, (row, verdict) in enumerate(zip(rows, verdicts, strict=True)):
                yield from _faults(source.names[done:row], unread)
                yield source.names[row], verdict, batch[i] if isinstance(batch, np.ndarray) else None
                done = row + 1
        yield from _faults(source.names[done:], unread)


def _faults(names: Sequence[str], unread: Mapping[str, str]) -> Iterator[tuple[str, Verdict, None]]:
    for name in names:
        if name in unread:
            nothing = np.empty(0, np.float32)
            yield name, Verdict(Status.FAULT, math.nan, math.nan, 0.0, -1, nothing, (), unread[name]), None


class _Seen:
    """The frames judged so far: lines of JSON at once, or a table at the end."""

    def __init__(self, as_json: bool, total: int) -> None:
        self.total = total
        self.frames = self.alarms = self.faults = self.boxes = self.strange = 0
        self._json = as_json
        self._shown: list[tuple[str, Verdict]] = []

    def add(self, name: str, verdict: Verdict) -> None:
        self.frames += 1
        self.alarms += verdict.alarm
        self.faults += verdict.status == Status.FAULT
        self.boxes += len(verdict.boxes)
        self.strange += sum(box.alarm for box in verdict.boxes)
        if self._json:
            sys.stdout.write(json.dumps(frame_json(name, verdict)) + "\n")
        elif self.total <= _ROWS or (verdict.status != Status.OK and len(self._shown) < _ROWS):
            self._shown.append((name, verdict))

    def finish(self, read: Mapping[str, Any]) -> None:
        """Say how many there were, and what was left out."""
        words = list(reading_words(read))
        if self._json:
            if words:
                counts = {"frames": self.frames, "alarms": self.alarms, "faults": self.faults}
                sys.stdout.write(json.dumps({"frame": None, **read, **counts}) + "\n")
            return
        self.print_table()
        of_these = f", {self.faults:,} of them faults" if self.faults else ""
        share = f"{counted(self.alarms, 'alarm')} ({self.alarms / self.frames:.2%}){of_these}"
        boxes = [f"{self.strange:,} of {counted(self.boxes, 'detection')} alarm"] if self.boxes else []
        text = "; ".join([f"{counted(self.frames, 'frame')}, {share}", *boxes, *words[:1]])
        wide_console().print("\n".join([text, *words[1:]]), markup=False)

    def print_table(self) -> None:
        """Print what there is to show, once."""
        if self._shown:
            _print(self._shown)
        self._shown = []


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
        "kind": verdict.kind,
        **({} if verdict.map is None else {"regions": [region_json(region) for region in verdict.regions]}),
        **({"boxes": [box_json(box) for box in verdict.boxes]} if verdict.boxes else {}),
    }


def box_json(box: BoxVerdict) -> dict[str, Any]:
    """A detection in strict JSON types: a number that is not finite is null."""
    told = {name: finite(value) if isinstance(value, float) else value for name, value in box._asdict().items()}
    return told | {"box": list(map(finite, box.box)), "alarm": box.alarm}


def region_json(region: Region) -> dict[str, Any]:
    """A region in JSON types."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in region._asdict().items()}


def _print(shown: Sequence[tuple[str, Verdict]]) -> None:
    words = Column("frame", overflow="fold"), Column("status", no_wrap=True)
    numbers = (Column(of, no_wrap=True, justify="right") for of in ("score", "threshold", "confidence*", "class"))
    kinds = any(verdict.kind for _, verdict in shown)
    table = bare_table(*words, *numbers, *(["kind"] if kinds else []), "why", gap=2)
    for name, verdict in shown:
        table.add_row(
            Text(printable(name)),
            f"[{_STYLES.get(verdict.status, 'bold red')}]{verdict.status.name}",
            f"{verdict.score:.4g}",
            f"{verdict.threshold:.4g}",
            f"{verdict.confidence:.3f}",
            str(verdict.prediction) if verdict.prediction >= 0 else "",
            *([verdict.kind] if kinds else []),
            Text(printable(verdict.reason)),
        )
    console = wide_console()
    console.print(table)
    console.print(CONFIDENCE, markup=False)
