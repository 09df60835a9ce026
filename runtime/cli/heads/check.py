"""Judge prompts: exit status 0 when all are OK, 1 when any is not."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from rich.table import Column
from rich.text import Text

from ....monitor import Status, Verdict
from ...generate import ChatGuard
from ...generate.judging import fault
from ...inputs.prompts import PromptLine, read_prompts
from ...log.log import EventLog
from ...printable import counted, printable
from ..printing import bare_table, finite, wide_console
from .opening import file_digest, open_guard, prompts_bar

_ROWS, _WIDTH = 40, 60
_BATCH = 8
"""In half precision scores depend on the batch a little, and the threshold was set on prompts one by one."""
STYLES = {Status.OK: "green", Status.WARN: "yellow"}
_CONFIDENCE = "* the guard's own, 0.5 at the threshold: how covered the prompt is, and no probability of the model's"


def run(options: argparse.Namespace) -> int:
    lines = read_prompts(options.prompts)[options.rows]
    if not lines:
        raise ValueError(f"{options.prompts}: expected lines within --rows, got none")
    guard = open_guard(options, calibrated=True)
    guard.batch = options.batch_size or (_BATCH if guard.decoder.dtype == "float32" else 1)
    counts: dict[Status, int] = dict.fromkeys(Status, 0)
    shown: list[tuple[PromptLine, Verdict]] = []
    with ExitStack() as stack:
        log = open_log(options, stack)
        chat = stack.enter_context(ChatGuard(guard, log=log))
        progress = stack.enter_context(prompts_bar("checking", len(lines), quiet=options.quiet))
        for done, (line, verdict) in enumerate(_verdicts(chat, lines, guard.batch), 1):
            counts[verdict.status] += 1
            if options.json:
                sys.stdout.write(json.dumps(line_json(line, verdict), allow_nan=False) + "\n")
            elif len(lines) <= _ROWS or (verdict.status != Status.OK and len(shown) < _ROWS):
                shown.append((line, verdict))
            progress(done, len(lines))
    if not options.json:
        _print(shown, counts, len(lines))
    if log is not None and not log.health().ok:
        raise OSError(f"{options.log}: expected a whole log, got one that lacks events: {log.health().error}")
    return int(any(count for status, count in counts.items() if status >= Status.ALARM))


def open_log(options: argparse.Namespace, stack: ExitStack) -> EventLog | None:
    """The event log of `--log`, closed with the stack."""
    if options.log is None:
        return None
    source = f"prompts of {options.model.resolve().name}"
    return stack.enter_context(EventLog(options.log, source=source, profile=file_digest(options.guard)))


def line_json(line: PromptLine, verdict: Verdict) -> dict[str, Any]:
    """What `--json` says of a line. Strict JSON: a number that is not finite is null. The prompt is not in it."""
    return {
        "line": line.number,
        "status": verdict.status.name.lower(),
        "alarm": verdict.alarm,
        "score": finite(verdict.score),
        "threshold": finite(verdict.threshold),
        "confidence": finite(verdict.confidence),
        "heads": list(verdict.layers),
        "label": line.label,
        "reason": verdict.reason,
    }


def _verdicts(chat: ChatGuard, lines: list[PromptLine], batch: int) -> Iterator[tuple[PromptLine, Verdict]]:
    """Each line with its verdict, in order; a line that is wrong has a FAULT."""
    for start in range(0, len(lines), batch):
        some = lines[start : start + batch]
        verdicts = chat.check([line.prompt for line in some])
        for line, verdict in zip(some, verdicts, strict=True):
            yield line, verdict if line.prompt is not None else fault(line.error)


def _print(shown: list[tuple[PromptLine, Verdict]], counts: dict[Status, int], total: int) -> None:
    console = wide_console()
    if shown:
        numbers = (Column(of, no_wrap=True, justify="right") for of in ("score", "threshold", "confidence*"))
        line_column = Column("line", no_wrap=True, justify="right")
        table = bare_table(line_column, Column("status", no_wrap=True), *numbers, "prompt", "why", gap=2)
        for line, verdict in shown:
            text = "" if line.prompt is None else " ".join(line.prompt["prompt"].split())
            table.add_row(
                str(line.number),
                f"[{STYLES.get(verdict.status, 'bold red')}]{verdict.status.name}",
                f"{verdict.score:.4g}",
                f"{verdict.threshold:.4g}",
                f"{verdict.confidence:.3f}",
                Text(printable(text[:_WIDTH] + "…" * (len(text) > _WIDTH))),
                Text(
                    printable(verdict.layers[0] if verdict.status < Status.FAULT and verdict.layers else verdict.reason)
                ),
            )
        console.print(table)
        console.print(_CONFIDENCE, markup=False)
    faults = counts[Status.FAULT] + counts[Status.STALE]
    of_these = f", {counted(faults, 'prompt')} could not be judged" if faults else ""
    flagged = counts[Status.ALARM]
    console.print(f"{counted(total, 'prompt')}, {flagged:,} flagged ({flagged / total:.2%}){of_these}")
