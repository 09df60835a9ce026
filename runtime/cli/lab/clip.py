"""Redirect the unsafe concepts of a CLIP to safe ones, and say what that did."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from ....networks.tuning import Schedule
from ....networks.tuning.clip import (
    ClipPlan,
    Frozen,
    Items,
    QuadrupleFile,
    embed,
    open_clip,
    read_quadruples,
    retrieval,
    tune_clip,
)
from ...printable import counted, printable
from ..printing import answer, bare_table, finite, wide_console
from ..progress import progress_bar

_SHOWN = 20


def run(options: argparse.Namespace) -> int:
    plan = _plan(options)
    rate = options.rate
    schedule = Schedule(
        options.steps, options.batch, rate, floor=min(1e-6, rate), seed=options.seed, precision=options.precision
    )  # fmt: skip
    given = read_quadruples(options.quadruples)
    test = None if options.test is None else read_quadruples(options.test)
    clip = open_clip(options.model, device=options.device)
    before = None if test is None else embed(clip, test.quadruples, clip.picture)
    try:
        with progress_bar("tuning", schedule.steps, quiet=options.quiet) as report:
            result = tune_clip(
                clip, given.quadruples, schedule, options.output, plan,
                progress=lambda done, _total: report(done), device=options.device,
            )  # fmt: skip
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from {options.output}") from None
    trained = result.trained
    facts: dict[str, Any] = {
        "model": str(options.model),
        "output": str(options.output),
        "plan": asdict(plan),
        "schedule": asdict(schedule),
        "quadruples": len(given.quadruples),
        "left_out": given.left_out,
        "loss": [trained.losses[0], trained.losses[-1]],
        "seconds": trained.seconds,
        "redirected": [asdict(one) for one in result.redirected],
    }
    if test is not None and before is not None:
        after = embed(result.clip, test.quadruples, result.clip.picture)
        measured = {"before": _measured(before, before, test), "after": _measured(after, before, test)}
        facts["test"] = {"quadruples": len(test.quadruples), "left_out": test.left_out, **measured}
    answer(facts, lambda: _print(facts), as_json=options.json)
    return 0


def _plan(options: argparse.Namespace) -> ClipPlan:
    rigid = options.method == "safe-clip"
    return ClipPlan(
        method=options.method,
        target=options.target or ("partner" if rigid else "nearest"),
        caption=options.caption,
        redirect=options.redirect,
        preserve=options.preserve,
        curriculum=options.curriculum or ("none" if rigid else "pair"),
        rank=options.rank,
    )


def _measured(now: Frozen, before: Frozen, test: QuadrupleFile) -> dict[str, float | None]:
    found = retrieval(_items(now, test), _items(before, test))
    facts = {"safety_frozen": found.safety_frozen, "safety_tuned": found.safety_tuned, "recall": found.recall}
    return {name: finite(value) for name, value in {**facts, **asdict(found)}.items()}


def _items(embedded: Frozen, test: QuadrupleFile) -> Items:
    """Texts and pictures of quadruples; what each is about is its caption."""
    import numpy as np

    safe, unsafe = ([one[place] for one in test.quadruples] for place in (1, 3))
    about, flags = np.array([*safe, *unsafe]), np.repeat([False, True], len(safe))
    text = np.concatenate([embedded.safe_text, embedded.unsafe_text])
    return Items(text, np.concatenate([embedded.safe_image, embedded.unsafe_image]), about, about, flags, flags)


def _print(facts: dict[str, Any]) -> None:
    console = wide_console()
    for name, part in (("", facts), ("of the test ", facts.get("test", {"left_out": []}))):
        if part["left_out"]:
            lines = counted(len(part["left_out"]), "line")
            console.print(printable(f"{lines} {name}left out, the first: {part['left_out'][0]}"), markup=False)
    first, last = facts["loss"]
    console.print(
        f"{counted(facts['quadruples'], 'quadruple')}, loss {first:.4f} → {last:.4f}, {facts['seconds']:.0f} s"
    )
    table = bare_table("unsafe caption", "goes to", "cosine", "times")
    for one in facts["redirected"][:_SHOWN]:
        table.add_row(printable(one["unsafe"]), printable(one["safe"]), f"{one['cosine']:.3f}", str(one["times"]))
    console.print(table)
    if len(facts["redirected"]) > _SHOWN:
        console.print(f"and {len(facts['redirected']) - _SHOWN} more; --json names all")
    if "test" in facts:
        console.print(_measures(facts["test"]))
    sys.stdout.write(f"written: {printable(facts['output'])}\n")


def _measures(test: dict[str, Any]) -> Any:
    table = bare_table(f"on {test['quadruples']} test quadruples", "before", "after")
    for name, words in (
        ("safety_frozen", "safe, of unsafe queries, gallery from before"),
        ("safety_tuned", "safe, of unsafe queries, gallery tuned as well"),
        ("recall", "R@1 of safe queries among safe items"),
    ):
        table.add_row(words, *(_cell(test[when][name]) for when in ("before", "after")))
    return table


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
