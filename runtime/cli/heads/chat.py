"""Answer prompts line by line, each for itself, and refuse those that the guard flags."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.text import Text

from ....monitor import Status, Verdict
from ...generate import RULES, ChatGuard, Refusals, Reply
from ...printable import counted, printable
from ..printing import finite
from .check import STYLES, open_log
from .opening import open_guard

_PROMPT = "> "


def run(options: argparse.Namespace) -> int:
    refusals = _refusals(options)
    guard = open_guard(options, calibrated=True)
    console = Console(highlight=False)
    counts = dict.fromkeys(Status, 0)
    with ExitStack() as stack:
        on_fault: Any = "answer" if options.answer_faults else "refuse"
        log = open_log(options, stack)
        chat = stack.enter_context(ChatGuard(guard, refusals=refusals, on_fault=on_fault, log=log))
        if options.sample:
            import torch

            torch.manual_seed(options.seed)
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="surrogateescape")  # a line in other bytes is a FAULT, and no end
        for number, text in enumerate(_lines(options), 1):
            began = time.monotonic()
            streamer = _Streamer(guard.decoder.chat.tokenizer, quiet=options.json)
            reply = chat.answer(
                [text], max_new_tokens=options.max_new_tokens, do_sample=options.sample, streamer=streamer
            )[0]
            counts[reply.verdict.status] += 1
            if options.json:
                sys.stdout.write(json.dumps(_line(number, reply, time.monotonic() - began), allow_nan=False) + "\n")
                sys.stdout.flush()
                continue
            if not streamer.said:
                sys.stdout.write(f"{printable(reply.text)}\n")
            console.print(Text(_said(reply.verdict), STYLES.get(reply.verdict.status, "bold red")))
            sys.stdout.write("\n")
    total = sum(counts.values())
    if not options.json:
        faults = counts[Status.FAULT]
        of_these = f", {counted(faults, 'prompt')} could not be judged" if faults else ""
        console.print(f"{counted(total, 'prompt')}, {counts[Status.ALARM]:,} flagged{of_these}")
    return 0


class _Streamer:
    """Prints an answer as it comes: the text so far, without the last word while that may still change."""

    def __init__(self, tokenizer: Any, *, quiet: bool) -> None:
        self._tokenizer, self._quiet = tokenizer, quiet
        self._tokens: list[int] = []
        self._printed = 0
        self._prompt = True
        self.said = False

    def put(self, value: Any) -> None:
        """Tokens of `generate`: first those of the prompt, then one at a time."""
        if self._prompt:
            self._prompt = False
            return
        if self._quiet:
            return
        self._tokens += value.reshape(-1).tolist()
        text = self._text()
        whole = text.rfind(" ") + 1
        self._write(text[:whole])

    def end(self) -> None:
        """The rest of the answer, and a new line."""
        if self._quiet:
            return
        self._write(self._text())
        sys.stdout.write("\n")
        sys.stdout.flush()
        self.said = True

    def _text(self) -> str:
        return str(self._tokenizer.decode(self._tokens, skip_special_tokens=True)).lstrip()

    def _write(self, text: str) -> None:
        if len(text) > self._printed:
            lines = text[self._printed :].split("\n")
            sys.stdout.write("\n".join(map(printable, lines)))
            sys.stdout.flush()
            self._printed = len(text)


def _lines(options: argparse.Namespace) -> Iterator[str]:
    """The prompts of a terminal or a pipe, line by line, without empty lines."""
    asks = sys.stdin.isatty() and not options.json
    while True:
        if asks:
            sys.stdout.write(_PROMPT)
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _refusals(options: argparse.Namespace) -> Refusals:
    if options.refusals is not None and options.reasons:
        raise ValueError("expected --refusals FILE or --reasons, got both")
    if options.refusals is not None:
        return Refusals.load(options.refusals)
    return Refusals(RULES if options.reasons else None)


def _said(verdict: Verdict) -> str:
    if verdict.status >= Status.FAULT:
        return printable(f"[{verdict.status.name}: {verdict.reason}]")
    return f"[{verdict.status.name}, score {verdict.score:.4g}, threshold {verdict.threshold:.4g}]"


def _line(number: int, reply: Reply, seconds: float) -> dict[str, Any]:
    verdict = reply.verdict
    return {
        "line": number,
        "answer": reply.text,
        "refused": reply.refused,
        "status": verdict.status.name.lower(),
        "alarm": verdict.alarm,
        "score": finite(verdict.score),
        "threshold": finite(verdict.threshold),
        "confidence": finite(verdict.confidence),
        "heads": list(verdict.layers),
        "reason": verdict.reason,
        "seconds": seconds,
    }
