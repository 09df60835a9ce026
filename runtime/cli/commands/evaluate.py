"""Say how good a monitor is: a table, and all of it as JSON and as a page."""

from __future__ import annotations

import argparse
import json
import math
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from ....monitor.evaluation import Estimate, Evaluation, SetResult, Share
from ....monitor.evaluation.judged import ADAPTIVE, CORRUPTION
from ...evaluation import EvaluationPlan, render_evaluation
from ...printable import counted, printable
from ..opening import open_monitor
from ..options.evaluating import ALL
from ..printing import bare_table, wide_console
from ..progress import progress_bar
from ..reading import advised, reading_facts, reading_words

_STDOUT = Path("-")


def run(options: argparse.Namespace) -> int:
    names = [name for name, _ in options.unsafe]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"expected a name of its own for each set of --unsafe, got {', '.join(twice)} more than once")
    monitor = open_monitor(options, calibrated=True)
    with closing(monitor.network):
        plan = EvaluationPlan(
            monitor, options.clean, dict(options.unsafe), labelled=options.labelled,
            corruptions=_chosen(options.corruptions), severities=options.severities, faults=_chosen(options.faults),
            attacks=options.attacks, epsilon=options.epsilon, attack_count=options.attack_count,
            attack_bounds=options.attack_bounds, no_labels=options.no_labels, classes_order=options.classes_order,
            class_map=options.class_map, by_drive=options.by_drive, rows=options.rows, batch_size=options.batch_size,
            on_error=options.on_error,
        )  # fmt: skip
        with advised(), progress_bar("evaluating", plan.total, quiet=options.quiet) as progress:
            found = plan.run(rate_fps=options.rate_fps, resamples=options.resamples, progress=progress)
    read = reading_facts(plan.sources)
    facts = found.to_dict() | {
        "profile": {"file": str(options.profile), "bytes": options.profile.stat().st_size,
                    "sha256": monitor.profile_sha256},
        "data": read,
    }  # fmt: skip
    if options.output is not None:
        options.output.write_text(render_evaluation(found, facts), encoding="utf-8")
    if options.json is not None:
        text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
        if options.json == _STDOUT:
            sys.stdout.write(text)
            return 0
        options.json.write_text(text, encoding="utf-8")
    _print(found, facts, list(reading_words(read)), options)
    return 0


def _chosen(names: tuple[str, ...]) -> bool | tuple[str, ...]:
    return names if names and names != ALL else bool(names)


def _print(found: Evaluation, facts: dict[str, Any], left_out: list[str], options: argparse.Namespace) -> None:
    console = wide_console()
    corruptions = [one for one in found.unsafe if one.kind == CORRUPTION]
    console.print(_sets(found, [one for one in found.unsafe if one.kind != CORRUPTION]))
    if corruptions:
        console.print()
        console.print(_severities(corruptions))
    console.print()
    for line in (*_words(found, facts), *left_out):
        console.print(printable(line), markup=False)
    for path in (options.output, options.json):
        if path is not None:
            console.print(f"{printable(str(path))} written", markup=False)


def _sets(found: Evaluation, unsafe: list[SetResult]) -> Table:
    heads = (
        "frames",
        "flagged, %",
        "AUROC, %",
        "AUPR, %",
        "FPR at 95 % TPR, %",
        "errors flagged, %",
        "right of passed, %",
    )
    table = bare_table(
        Column("set", overflow="fold"), *(Column(head, no_wrap=True, justify="right") for head in heads), gap=2
    )
    for one in (found.clean, *unsafe):
        errors = one.errors
        table.add_row(
            Text(printable(one.name)), f"{one.frames:,}", _share(one.flagged),
            *(_estimate(figure) for figure in (one.auroc, one.aupr, one.fpr95)),
            _share(errors.flagged if errors else None), _share(errors.passed if errors else None),
            style="bold" if one is found.clean else None,
        )  # fmt: skip
    return table


def _severities(corruptions: list[SetResult]) -> Table:
    """A row for each corruption: AUROC and share flagged at each severity."""
    levels = sorted({one.severity or 0 for one in corruptions})
    table = bare_table(
        Column("corruption: AUROC (flagged), %", overflow="fold"),
        *(Column(f"severity {level}", no_wrap=True, justify="right") for level in levels), gap=2,
    )  # fmt: skip
    for kind in dict.fromkeys(one.name.rpartition(" ")[0] for one in corruptions):
        of = {one.severity: one for one in corruptions if one.name.rpartition(" ")[0] == kind}
        table.add_row(kind, *(_cell(of.get(level)) for level in levels))
    return table


def _cell(one: SetResult | None) -> str:
    if one is None or one.auroc is None:
        return ""
    return f"{100 * one.auroc.value:.1f} ({100 * one.flagged.share:.0f})"


def _words(found: Evaluation, facts: dict[str, Any]) -> list[str]:
    clean, hour, cost = found.clean, found.false_alarms_per_hour, found.cost
    low, high = hour.interval or (math.nan, math.nan)
    lines = [
        (
            f"false alarms: {100 * clean.flagged.share:.3g} % of clean frames, {100 * found.false_alarm_rate:.3g} %"
            f" asked for; {hour.value:,.0f} an hour at {found.rate_fps:g} frames a second ({low:,.0f} to {high:,.0f})"
        )
    ]
    lines += _by_drive(clean, found.false_alarm_rate)
    lines.append(f"promised: {found.monitor['promise']}")
    if clean.errors is not None:
        errors, n = clean.errors, clean.errors.accuracy.n
        lines.append(
            f"the network: {100 * errors.accuracy.share:.4g} % right on {n:,} clean frames; AURC"
            f" {100 * errors.aurc.value:.3g} % (risk over coverage)"
        )
    lines += [
        f"{one.name}: {one.frames:,} of {one.evaded.n:,} attacks deceive the network, {one.evaded.count:,} without an"
        f" alarm; the attack {'knows' if one.kind == ADAPTIVE else 'does not know'} the monitor"
        for one in found.unsafe
        if one.evaded is not None
    ]
    warned = [
        f"{counted(one.warned.count, 'WARN')} in {one.name}" for one in (clean, *found.unsafe) if one.warned.count
    ]
    unread = [f"{counted(one.unread, 'frame')} of {one.name}" for one in (clean, *found.unsafe) if one.unread]
    faults = [f"{counted(one.faults, 'FAULT')} in {one.name}" for one in (clean, *found.unsafe) if one.faults]
    lines += [f"{', '.join(words)}{said}" for words, said in (
        (warned, ", which is no alarm"), (faults, ", flagged and ranked highest"),
        (unread, " could not be read and are in no figure"),
    ) if words]  # fmt: skip
    if cost is not None:
        lines.append(
            f"cost: {cost.check:,.1f} µs a frame in batches of {cost.batch}, of which the monitor {cost.monitor:,.1f};"
            f" profile of {facts['profile']['bytes']:,} bytes"
        )
    drawn = "drives" if clean.drives else "frames"
    areas = f", {found.resamples:,} bootstrap resamples of {drawn} for areas" if found.resamples else ""
    of_drives = " of drives" if clean.drives else ""
    lines.append(
        f"intervals of {100 * found.level:g} %: Clopper-Pearson for shares{of_drives}{areas};"
        " AUROC, AUPR and FPR rank frames by score less the threshold of their class"
    )
    return lines


def _by_drive(clean: SetResult, rate: float) -> list[str]:
    """How many drives have more alarms than were asked for, and which has most."""
    if not clean.by_drive:
        return []
    above = sum(one.flagged.share > rate for one in clean.by_drive)
    worst = max(clean.by_drive, key=lambda one: one.flagged.share)
    of = f"{above} of {counted(len(clean.by_drive), 'drive')} alarm in more than {100 * rate:.3g} % of their frames"
    return [f"by drive: {of}; the most in {worst.name}, {100 * worst.flagged.share:.3g} % of {worst.frames:,}"]


def _share(one: Share | None) -> str:
    if one is None or not one.n:
        return ""
    return _with_interval(one.share, one.interval)


def _estimate(one: Estimate | None) -> str:
    return "" if one is None else _with_interval(one.value, one.interval)


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
