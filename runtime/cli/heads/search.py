"""Find the attention heads that tell unsafe prompts from safe ones."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ....monitor.heads import FeatureStore, HeadGuard, SearchReport
from ....networks.packages import require
from ...printable import printable
from ..printing import answer
from .opening import labelled_prompts, open_model, prompts_bar, prompts_of

_CANDIDATES = 16
"""For statistics that run the model again for every head."""


def run(options: argparse.Namespace) -> int:
    if options.page is not None:
        require("jinja2", "a page of the map needs Jinja", "report")
    if options.picture is not None:
        require("matplotlib", "a picture of the map needs matplotlib", "report")
    (unsafe, wrong_unsafe), (safe, wrong_safe) = _prompts(options)
    decoder = open_model(options)
    guard = HeadGuard(decoder, options.statistic, options.heads)
    if options.heads is not None and guard.statistic.joint:
        raise ValueError(f"expected no --heads, as {options.statistic} reads all heads at once, got {options.heads}")
    candidates = _candidates(options, guard, unsafe, safe)
    store = _store(options.features)
    try:
        with prompts_bar("searching", len(unsafe) + len(safe), quiet=options.quiet) as progress:
            report = guard.search(
                unsafe, safe, permutations=options.permutations, progress=progress, store=store, candidates=candidates
            )
    except KeyboardInterrupt:
        if store is None:
            raise
        store.flush()
        raise KeyboardInterrupt(f"the same command goes on from {options.features}") from None
    guard.save(options.output)
    name = f"{options.model.resolve().name}, {decoder.name}, {decoder.dtype}"
    _show(options, report, name)
    facts = {"model": name, "guard": str(options.output)} | report.to_dict()
    facts["left_out"] = {"unsafe": wrong_unsafe, "safe": wrong_safe}
    answer(facts, lambda: _print(options, report), as_json=options.json)
    return 0


def _prompts(options: argparse.Namespace) -> list[tuple[list[dict[str, Any]], list[str]]]:
    """Unsafe and safe prompts, each with what is wrong with other lines."""
    given = options.unsafe is not None, options.safe is not None
    if (options.labelled is None) != all(given) or (options.labelled is not None and any(given)):
        raise ValueError("expected --unsafe FILE and --safe FILE, or else --labelled FILE, got something else")
    if options.labelled is not None:
        return labelled_prompts(options.labelled, options.rows)
    return [prompts_of(options.unsafe, "unsafe", options.rows), prompts_of(options.safe, "safe", options.rows)]


def _candidates(
    options: argparse.Namespace, guard: HeadGuard, unsafe: list[Any], safe: list[Any]
) -> list[tuple[int, int]] | None:
    """The heads worth a second pass, by `last_query`; None for a statistic that takes all heads at once."""
    if guard.statistic.passes not in ("a whole pass", "the layers above"):
        return None
    every = guard.decoder.layers * guard.decoder.heads
    first = HeadGuard(guard.decoder, "last_query", min(every, max(_CANDIDATES, guard.heads)))
    store = _store(options.features and options.features.with_name(f"{options.features.name}.last_query"))
    with prompts_bar("choosing candidates", len(unsafe) + len(safe), quiet=options.quiet) as progress:
        first.search(unsafe, safe, permutations=0, progress=progress, store=store)
    return first.chosen


def _store(path: Path | None) -> FeatureStore | None:
    return None if path is None else FeatureStore(path)


def _show(options: argparse.Namespace, report: SearchReport, name: str) -> None:
    if options.page is not None:
        from ...report.heads import render_heads

        options.page.write_text(render_heads(report, name), encoding="utf-8")
    if options.picture is not None:
        from ...report.heads import heads_picture

        options.picture.write_bytes(heads_picture(report, name))


def _print(options: argparse.Namespace, report: SearchReport) -> None:
    written = [str(path) for path in (options.output, options.page, options.picture) if path is not None]
    sys.stdout.write(f"{report}\nwritten: {printable(', '.join(written))}\n")
    sys.stdout.write(
        "no threshold yet: `outrider head calibrate` sets it on safe prompts that this search has not seen\n"
    )
