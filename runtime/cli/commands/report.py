"""Make the HTML page of a drive from its event log."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ...printable import counted, printable
from ...report import drive_statistics, read_drive, render_report

_NAMED = 3


def run(options: argparse.Namespace) -> int:
    drive = read_drive(options.log, salvage=options.salvage)
    output = options.output or (None if options.json else Path("report.html"))
    statistics = drive_statistics(drive)
    if output:
        output.write_text(render_report(drive, statistics), encoding="utf-8")
    if options.json:
        sys.stdout.write(json.dumps(statistics, indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.write(f"{_in_words(statistics)}; the page is {printable(str(output))}\n")
    return 0


def _in_words(statistics: dict[str, Any]) -> str:
    counts, unfinished = statistics["counts"], statistics["unfinished"]
    least = "at least " if unfinished else ""
    words = (
        f"{counted(statistics['log']['events'], 'event')}, {least}{counted(counts['alarms'], 'alarm')} in"
        f" {least}{counted(counts['frames'], 'frame')}, {least}{counted(counts['episodes'], 'episode')}"
        " (alarm, fault or stale)"
    )
    for one in unfinished[-_NAMED:]:
        after = f" after {one['after_frame']:,}" if one["after_frame"] else ""
        words += f"; run {printable(one['run'][:8])} has no end in the log, its frames{after} are not in the rates"
    more = len(unfinished) - _NAMED
    return words + (f"; {counted(more, 'earlier run')} too" if more > 0 else "")
