"""Make the HTML page of a drive from its event log."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..printable import printable
from ..report import drive_statistics, read_drive, render_report


def run(options: argparse.Namespace) -> int:
    drive = read_drive(options.log, salvage=options.salvage)
    output = options.output or (None if options.json else Path("report.html"))
    statistics = drive_statistics(drive)
    if output:
        output.write_text(render_report(drive, statistics), encoding="utf-8")
    if options.json:
        sys.stdout.write(json.dumps(statistics, indent=2, allow_nan=False) + "\n")
    else:
        alarms = statistics["rates"]["alarms"]
        sys.stdout.write(
            f"{statistics['log']['events']} events, {alarms['count']} alarms in {alarms['n']} frames;"
            f" the page is {printable(str(output))}\n"
        )
    return 0
