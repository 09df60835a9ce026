"""Set the threshold of a profile on held-out data."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path

from rich.console import Console

from ...monitor import false_alarm_rate
from .. import arguments
from ..opening import add_network_arguments, open_monitor
from ..progress import progress_bar
from ..sources import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider profile` wrote")
    parser.add_argument("data", metavar="DATA", help="held-out data, never those of the profile or of a test")
    add_network_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: PROFILE itself")
    parser.add_argument("--false-alarm-rate", type=float, metavar="RATE", help="per frame; default: 0.01")
    parser.add_argument("--fps", type=float, help="with --hours: one false alarm in so many hours at this frame rate")
    parser.add_argument("--hours", type=float)
    parser.add_argument("--per-class", action="store_true", help="a threshold per class with enough frames")
    parser.add_argument("--warning-rate", type=float, metavar="RATE", help="a second, higher rate that gives WARN")
    parser.add_argument("--rows", type=arguments.rows, default=slice(None), metavar="START:STOP", help="a part of DATA")
    parser.add_argument("--batch-size", type=arguments.positive, default=64, metavar="N")
    parser.add_argument("--json", action="store_true", help="the calibration as JSON")


def run(options: argparse.Namespace) -> int:
    rate = _rate(options)
    source = open_source(options.data)[options.rows]
    monitor = open_monitor(options)
    with closing(monitor.network):
        with progress_bar("calibrating", len(source), quiet=options.quiet) as progress:
            calibration = monitor.calibrate(
                source.batches(monitor.network.preprocessing, options.batch_size),
                rate,
                per_class=options.per_class,
                warning_rate=options.warning_rate,
                progress=progress,
            )
        monitor.save(options.output or options.profile)
        facts = monitor.describe()["calibration"]
    if options.json:
        Console().print_json(json.dumps(facts))
    else:
        Console(highlight=False).print(str(calibration), markup=False)
    return 0


def _rate(options: argparse.Namespace) -> float:
    if (options.fps is None) != (options.hours is None):
        raise ValueError("expected --fps and --hours together, got one of them")
    if options.fps is None:
        return 0.01 if options.false_alarm_rate is None else options.false_alarm_rate
    if options.false_alarm_rate is not None:
        raise ValueError("expected --false-alarm-rate or --fps with --hours, got both")
    return false_alarm_rate(options.fps, options.hours)
