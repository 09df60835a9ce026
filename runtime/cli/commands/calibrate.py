"""Set the threshold of a profile on held-out data."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from ....monitor import false_alarm_rate
from ...inputs.joint import open_frames
from ...inputs.learned_pictures import comparing
from ..opening import learned_inputs, open_monitor
from ..printing import answer
from ..progress import progress_bar
from ..reading import advised, reading_facts, with_policy, write_reading


def run(options: argparse.Namespace) -> int:
    rate = _rate(options)
    source = with_policy(open_frames(options.data, options.rows, learned_inputs(options.profile)), options.on_error)
    monitor = open_monitor(options)
    network = monitor.network
    with closing(network):
        with advised(), progress_bar("calibrating", len(source), quiet=options.quiet) as progress:
            calibration = monitor.calibrate(
                source.batches(comparing(monitor), options.batch_size, network.inputs, network.reset),
                rate,
                per_class=options.per_class,
                warning_rate=options.warning_rate,
                progress=progress,
            )
        monitor.save(options.output or options.profile)
        facts = monitor.describe()["calibration"] | {"data": reading_facts([source])}

    def show() -> None:
        sys.stdout.write(f"{calibration}\n")
        write_reading(facts["data"])

    answer(facts, show, as_json=options.json)
    return 0


def _rate(options: argparse.Namespace) -> float:
    if (options.fps is None) != (options.hours is None):
        raise ValueError("expected --fps and --hours together, got one of them")
    if options.fps is None:
        return 0.01 if options.false_alarm_rate is None else options.false_alarm_rate
    if options.false_alarm_rate is not None:
        raise ValueError("expected --false-alarm-rate or --fps with --hours, got both")
    return false_alarm_rate(options.fps, options.hours)
