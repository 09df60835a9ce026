"""Set the threshold of a profile on held-out data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from ....monitor import false_alarm_rate
from ....monitor.data.changes import thresholds_in_words
from ....monitor.thresholds.gathered import Gathered
from ....monitor.thresholds.stored import StoredProfile
from ...inputs.joint import open_frames
from ...inputs.learned_pictures import comparing
from ...inputs.sources import drives_of
from ...printable import printable
from ...report.kept import read_kept
from ..opening import learned_inputs, open_monitor
from ..printing import answer
from ..progress import progress_bar
from ..reading import advised, reading_facts, with_policy, write_reading
from ..workers.shards import refuse_of_all, score_shard


def run(options: argparse.Namespace) -> int:
    if options.threshold is not None or options.logs:
        return _without_data(options)
    if options.scores is None and options.data is None:
        raise ValueError("expected DATA, --scores FILE, --threshold X or --from LOG, got none of them")
    if options.group_confidence is not None and not options.groups:
        raise ValueError("expected --group-confidence with --groups, got it alone")
    if options.by_drive and options.groups:
        raise ValueError("expected --by-drive or --groups, got both")
    if options.scores is not None:
        return _on_scores(options)
    if options.shard is not None:
        refuse_of_all(options)
    rate = _rate(options)
    source = with_policy(
        open_frames(options.data, options.rows, learned_inputs(options.profile, options.key)), options.on_error
    )
    monitor = open_monitor(options, calibrated=options.keep_scales)
    network = monitor.network
    with closing(network):
        of = drives_of(source, monitor.learned.class_names) if options.by_drive or options.groups else None
        drives: list[Any] = []
        if options.shard is not None:
            return score_shard(options, monitor, source, comparing(monitor), of)

        def batches() -> Iterator[Any]:
            drives.clear()
            for rows, batch in source.rows(comparing(monitor), options.batch_size, network.inputs, network.reset):
                drives.extend(() if of is None else of[rows])
                yield batch

        with advised(), progress_bar("calibrating", len(source), quiet=options.quiet) as progress:
            calibration = monitor.calibrate(batches(), rate, **_settings(options, drives), progress=progress)
        if options.kinds:
            with advised(), progress_bar("learning kinds", None, quiet=options.quiet) as progress:
                kinds = monitor.learn_kinds(batches(), progress=progress)
        monitor.save(options.output or options.profile)
        facts = _facts(monitor.describe()) | {"data": reading_facts([source])}

    def show() -> None:
        sys.stdout.write(f"{calibration}\n")
        if options.kinds:
            sys.stdout.write(f"kinds of alarms: {', '.join(kinds.rule.kinds)}, of {len(kinds.rule.causes)} causes\n")
        write_reading(facts["data"])

    answer(facts, show, as_json=options.json)
    return 0


def _settings(options: argparse.Namespace, drives: Any) -> dict[str, Any]:
    """The keywords of `Monitor.calibrate`. drives: of the frames, where they are known."""
    return {
        "drives": drives if options.by_drive else None,
        "groups": drives if options.groups else None,
        "group_confidence": 0.9 if options.group_confidence is None else options.group_confidence,
        "keep_scales": options.keep_scales,
        "per_class": options.per_class,
        "warning_rate": options.warning_rate,
        "accept_rate": options.accept_rate,
        "box_rate": options.box_rate,
        "reason": options.reason,
    }


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    return told["calibration"] | ({} if told["boxes"] is None else {"boxes": told["boxes"]["calibration"]})


def _on_scores(options: argparse.Namespace) -> int:
    """Set the threshold on what workers saw; the network is not asked."""
    given = {"DATA": options.data, "--kinds": options.kinds, "--shard": options.shard}
    if named := [name for name, value in given.items() if value]:
        raise ValueError(f"expected --scores alone, got {', '.join(named)} too")
    stored = StoredProfile(options.profile, key=options.key, calibrated=options.keep_scales)
    gathered = Gathered(options.scores)
    if (options.by_drive or options.groups) and gathered.drives is None:
        raise ValueError("expected scores with their drives, got none; give --by-drive to each --shard too")
    calibration = stored.calibrate(gathered, _rate(options), **_settings(options, gathered.drives))
    stored.save(options.output or options.profile)
    answer(_facts(stored.describe()), lambda: sys.stdout.write(f"{calibration}\n"), as_json=options.json)
    return 0


def _without_data(options: argparse.Namespace) -> int:
    """Set the threshold by hand, or on the logs of guards; the network is not asked."""
    given = {
        "DATA": options.data,
        "--per-class": options.per_class,
        "--warning-rate": options.warning_rate,
        "--accept-rate": options.accept_rate,
        "--box-rate": options.box_rate,
        "--by-drive": options.by_drive,
        "--groups": options.groups,
        "--keep-scales": options.keep_scales,
        "--kinds": options.kinds,
        "--shard": options.shard,
        "--scores": options.scores,
        "--threshold and --from": options.threshold is not None and options.logs,
        "--false-alarm-rate": options.threshold is not None and (options.false_alarm_rate or options.fps),
    }
    named = [name for name, value in given.items() if value]
    if named:
        which = "--from LOG" if options.threshold is None else "--threshold X"
        raise ValueError(f"expected {which} alone, got {', '.join(named)} too")
    stored = StoredProfile(options.profile, key=options.key)
    if options.logs:
        asked = options.false_alarm_rate is not None or options.fps is not None
        stored.recalibrate(read_kept(options.logs), _rate(options) if asked else None, reason=options.reason)
    else:
        values = np.array(options.threshold)
        stored.set_threshold(values if len(values) != 1 else values[0], options.reason)
    change = stored.learned.history[-1]
    stored.save(options.output or options.profile)
    facts = stored.describe()["calibration"] | {"change": change.to_dict()}

    def show() -> None:
        words = f"threshold {thresholds_in_words(change.before)} -> {thresholds_in_words(change.after)}"
        sys.stdout.write(f"{words}{f': {printable(change.reason)}' if change.reason else ''}\n{stored.calibration}\n")

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
