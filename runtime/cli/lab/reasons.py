"""Make a training set in which refusals have a reason, and tune a model on it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....networks.tuning.reasons import ReasonTable, Request, read_requests, training_set, write_lessons
from ...printable import counted, printable
from ..printing import answer
from ..progress import progress_bar

if TYPE_CHECKING:
    from ....networks.transformers import Decoder
    from ....networks.tuning import Trained
    from ....networks.tuning.reasons import TaughtAnswer, TrainingSet, Written


def run(options: argparse.Namespace) -> int:
    if options.tune is not None and options.model is None:
        raise ValueError("expected --model FOLDER with --tune, got none; it is the model that is tuned")
    requests = _drawn(read_requests(options.prompts), options.number, options.seed)
    table = ReasonTable() if options.table is None else ReasonTable.load(options.table)
    model = None if options.model is None else _opened(options, options.model)
    own = {} if model is None or not options.own else _own(options, model, requests)
    write = None if options.rewriter is None else _rewriting(options)
    found = training_set(requests, table, kind=options.kind, seed=options.seed, own=own, write=write)
    write_lessons(options.output, found.lessons)
    trained = None if options.tune is None or model is None else _tuned(options, model, found.lessons)
    unsafe = [lesson for lesson in found.lessons if lesson.unsafe]
    facts = {
        "output": str(options.output), "kind": options.kind, "lessons": len(found.lessons), "unsafe": len(unsafe),
        "categories": _counts(unsafe), "rewriting": found.rewriting,
        "tuned": None if trained is None else {
            "folder": str(trained.folder), "steps": len(trained.losses), "seconds": trained.seconds,
            "resumed": trained.resumed, "losses": trained.losses,
        },
    }  # fmt: skip
    answer(facts, lambda: _print(options, found, trained), as_json=options.json)
    return 0


def _drawn(requests: list[Request], number: int | None, seed: int) -> list[Request]:
    """A number of them, in random order, unsafe and safe ones in their shares; all as they are without a number."""
    if number is None:
        return requests
    if number > len(requests):
        raise ValueError(f"expected at least {number:,} prompts for --number, got {len(requests):,}")
    order = [requests[i] for i in np.random.default_rng(seed).permutation(len(requests))]
    unsafe, safe = ([one for one in order if one.unsafe is kind] for kind in (True, False))
    count = round(number * len(unsafe) / len(requests))
    return unsafe[:count] + safe[: number - count]


def _opened(options: argparse.Namespace, folder: Path) -> Decoder:
    from ....networks.transformers import open_decoder

    return open_decoder(folder, dtype=options.dtype or "float32", device=options.device, system=options.system)


def _own(options: argparse.Namespace, model: Decoder, requests: list[Request]) -> dict[str, Written]:
    prompts = [request.prompt for request in requests if not request.unsafe]
    return dict(zip(prompts, _written(options, "answering safe prompts", model, prompts, options.own), strict=True))


def _rewriting(options: argparse.Namespace) -> Callable[[list[str]], list[str]]:
    from ....networks.tuning.reasons import LONGEST

    writer = _opened(options, options.rewriter)

    def write(asked: list[str]) -> list[str]:
        return [found.text for found in _written(options, "rewriting reasons", writer, asked, LONGEST)]

    return write


def _written(options: argparse.Namespace, title: str, model: Decoder, prompts: list[str], tokens: int) -> list[Written]:
    from ....networks.tuning.reasons import written

    with progress_bar(title, len(prompts), quiet=options.quiet) as progress:
        return written(model, prompts, tokens, progress=lambda done, _total: progress(done))


def _tuned(options: argparse.Namespace, model: Decoder, lessons: list[TaughtAnswer]) -> Trained:
    from ....networks.tuning import Schedule, with_adapters
    from ....networks.tuning.chat import supervise

    schedule = Schedule(
        options.steps, options.batch, options.rate, seed=options.seed, save_every=50, precision=options.precision
    )
    how: dict[str, Any] = {"system": options.system, "device": options.device}
    adapted = with_adapters(model.model, options.rank, seed=options.seed)
    try:
        with progress_bar("tuning", schedule.steps, quiet=options.quiet) as progress:
            trained = supervise(
                adapted, model.processor, lessons, schedule, options.tune, **how,
                progress=lambda done, _total: progress(done),
            )  # fmt: skip
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from {options.tune / 'checkpoints'}") from None
    model.processor.save_pretrained(options.tune)
    return trained


def _counts(unsafe: list[TaughtAnswer]) -> dict[str, int]:
    named = [lesson.category for lesson in unsafe]
    return {name: named.count(name) for name in sorted(set(named), key=lambda one: (-named.count(one), one))}


def _print(options: argparse.Namespace, found: TrainingSet, trained: Trained | None) -> None:
    unsafe = [lesson for lesson in found.lessons if lesson.unsafe]
    sys.stdout.write(
        f"{counted(len(found.lessons), 'lesson')}, {len(unsafe):,} of them refusals: {printable(str(options.output))}\n"
    )
    for name, count in _counts(unsafe).items():
        sys.stdout.write(f"  {count:>5,}  {printable(name)}\n")
    if found.rewriting:
        broken = "".join(f"; {name}: {count:,}" for name, count in found.rewriting.items() if name != "kept")
        asked = sum(found.rewriting.values())
        sys.stdout.write(f"rewritten reasons that keep the rules: {found.rewriting['kept']:,} of {asked:,}{broken}\n")
    if trained is not None:
        first, last = trained.losses[0], trained.losses[-1]
        sys.stdout.write(
            f"tuned in {trained.seconds:,.0f} s, loss {first:.4g} to {last:.4g}: {printable(str(trained.folder))}\n"
        )
