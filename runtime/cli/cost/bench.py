"""Say what a monitor costs on a user's model and machine, beside the bare session."""

from __future__ import annotations

import argparse
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from ...bench.figures import CostFigures, CostRow
from ...bench.plan import CostPlan
from ...bench.reading import SPREAD
from ...inputs.detectors import decoder_of
from ...inputs.networks import is_onnx
from ...printable import counted, printable
from ..opening import input_shape
from ..printing import answer, bare_table, wide_console
from ..progress import progress_bar
from ..wording import in_flags


def run(options: argparse.Namespace) -> int:
    if not is_onnx(options.network):
        raise ValueError(
            f"{options.network}: expected an .onnx file, got another network; `outrider evaluate` prints the"
            " microseconds of a frame for a PyTorch module too"
        )
    told = _told(options)
    if told and options.profile is not None:
        given = " ".join(f"{name}=" for name in told)
        raise ValueError(f"expected --profile alone, which says how the network is watched, got {given} too")
    with CostPlan(
        options.network, options.profile, threads=options.threads, input_shape=input_shape(options),
        detections=decoder_of(options.detections), **told,
    ) as plan:  # fmt: skip
        with progress_bar("preparing", plan.total, quiet=options.quiet) as progress:
            plan.prepare(progress)
        rounds = plan.rounds_in(options.seconds)
        with progress_bar("timing", rounds, quiet=options.quiet) as progress:
            found = plan.run(rounds, progress)
    answer(found.to_dict(), lambda: _print(found, options), as_json=options.json)
    return 0


def _told(options: argparse.Namespace) -> dict[str, Any]:
    """What the flags say of how the network is watched."""
    usual = {"classes": "auto", "scores_output": None, "scores": "auto", "layouts": None}
    told = {name: getattr(options, name) for name, default in usual.items() if getattr(options, name) != default}
    return told | ({"layouts": dict(told["layouts"])} if "layouts" in told else {})


def _print(found: CostFigures, options: argparse.Namespace) -> None:
    console = wide_console()
    frames = "" if found.frames == 1 else f" for {found.frames} frames, which the model fixes as one run"
    lines = (
        f"{found.processor}; onnxruntime {found.onnxruntime}, {counted(found.threads, 'thread')}",
        f"bare session: {found.bare_ms:.4g} ms{frames}, the median of {found.rounds:,} rounds",
        "",
        _table(found),
        "",
        *_notes(found, options),
        *_words(found),
    )
    for line in lines:
        console.print(printable(line) if isinstance(line, str) else line, markup=False)


def _table(found: CostFigures) -> Table:
    right = "× bare", "95 % interval", "taps", "neurons", "tapped", "one read"
    table = bare_table(
        Column("", overflow="fold"), *(Column(head, no_wrap=True, justify="right") for head in right), gap=2
    )
    for row in found.rows:
        size = row.size
        table.add_row(
            Text(printable(row.key)),
            "-" if row.ratio is None else f"{row.ratio:.3f}",
            "" if row.interval is None else f"{row.interval[0]:.3f} to {row.interval[1]:.3f}",
            "" if size is None else f"{size.taps:,}",
            "" if size is None else f"{size.neurons:,}",
            "" if size is None or size.nbytes is None else _bytes(size.nbytes),
            _read(row),
        )
    return table


def _bytes(count: int) -> str:
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"


def _read(row: CostRow) -> str:
    if row.read_ms is None or row.read_share is None:
        return ""
    return f"{row.read_ms:.3g} ms, {100 * row.read_share:.2g} %"


def _notes(found: CostFigures, options: argparse.Namespace) -> list[str]:
    """A line for each thing to be known of some of the rows."""
    rows: dict[str, list[str]] = {}
    for row in found.rows:
        if row.note:
            note = in_flags(row.note, options.actions)
            rows.setdefault(f"not measured: {note}" if row.ratio is None else note, []).append(row.key)
    return [f"{'; '.join(keys)}: {note}" for note, keys in rows.items()]


def _words(found: CostFigures) -> list[str]:
    """What the table says, a line each."""
    lines = ["× bare: the median of the ratios to the bare session in each round, with its 95 % interval"]
    if (interval := found.rows[0].interval) is not None:
        noise = max(abs(end - 1) for end in interval)
        lines.append(
            "bare again: a second bare session, the noise; ratios nearer to 1 than its interval reaches,"
            f" {1 - noise:.3f} to {1 + noise:.3f}, say nothing"
        )
    lines.append("outside: the model with its taps and a check by the monitor, in Python")
    lines.append("in the graph: the model as `outrider export` writes it")
    if any(row.read_ms is not None for row in found.rows):
        lines.append(
            "one read: of all that is tapped, the floor under what a monitor costs, and its share of the bare session;"
            f" measured as a numpy sum by one thread, in turn over {SPREAD >> 20} MiB of memory, so that nothing comes"
            " from a cache; what still is in one is read faster"
        )
    if any(row.size is not None and row.size.nbytes is None for row in found.rows):
        lines.append("no read was measured where the model leaves open how large a tapped tensor is")
    if found.profile is None:
        lines.append("monitors were taught on noise and ran on noise; what they learned hardly matters for their cost")
    else:
        lines.append("frames were noise and the thresholds out of reach: the cost is that of frames without an alarm")
    return lines
