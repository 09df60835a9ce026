"""The tensors of a network that can be tapped, under the names to ask for: as facts and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Column
from rich.text import Text

from ...networks.offers import Offer
from ...networks.selectors import DEFAULT_TAPS
from ...networks.tap import Candidate
from ..printable import counted
from .printing import bare_table, wide_console

_WORDS = ("auto", "first", "stages", "widest")
_WAYS = ("channel", "unit", "head")


def offer_facts(offer: Offer, selectors: Sequence[str] | None = None) -> dict[str, Any]:
    """The tensors that can be tapped, in JSON types; with selectors, only those that they choose.

    Raises ValueError for selectors that choose nothing.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    problems = {}
    for word in _WORDS:
        try:
            chosen[word] = offer.taken(word)
        except ValueError as error:
            problems[word] = str(error)
    wanted = None if selectors is None else offer.asked(selectors)
    taps = [
        _facts(offer, candidate, [word for word, names in chosen.items() if candidate.name in names])
        for candidate in offer.candidates
        if wanted is None or candidate.name in wanted
    ]
    several = [one._asdict() | {"shape": list(one.shape)} for one in offer.inputs] if len(offer.inputs) > 1 else None
    facts = {"engine": offer.engine, "input_shape": list(offer.input_shape), "taps": taps, "problems": problems}
    return facts if several is None else facts | {"inputs": several}


def _facts(offer: Offer, candidate: Candidate, chosen_by: list[str]) -> dict[str, Any]:
    move = offer.moves.get(candidate.name)
    return {
        "name": candidate.name,
        "kind": candidate.kind,
        "shape": None if candidate.obstacle else list(candidate.shape),
        "rows": candidate.rows,
        "layout": candidate.layout or None,
        "dtype": candidate.dtype or None,
        "neurons": {} if candidate.obstacle else _neurons(candidate),
        "chosen_by": chosen_by,
        "modules": list(candidate.paths),
        "moved": None if move is None else {"to": move.taken, "why": move.why},
        "obstacle": candidate.obstacle or None,
    }


def _neurons(candidate: Candidate) -> dict[str, int]:
    """How many neurons the tensor becomes in each way that it allows."""
    counts = {}
    for way in _WAYS:
        try:
            tap = candidate.tap(way)
        except ValueError:  # a size left open, or no attention heads
            continue
        counts[tap.neurons] = tap.size
    return counts


def print_offer(spec: str, facts: dict[str, Any]) -> None:
    """Print `offer_facts` for a reader."""
    console = wide_console()
    rows = facts["taps"]
    free = sum(row["obstacle"] is None for row in rows)
    several = ", ".join(f"{one['name']} {_shown(one['shape'])}" for one in facts.get("inputs", ()))
    takes = f"inputs {several}" if several else f"input {_shown(facts['input_shape'])}"
    console.print(f"{spec}: {facts['engine']}, {takes}", markup=False)
    console.print(f"{free} taps; a profile takes {','.join(DEFAULT_TAPS)} unless --taps says otherwise", markup=False)
    for word, problem in facts["problems"].items():
        console.print(f"--taps {word}: {problem}", markup=False)
    console.print()
    paths = any(row["modules"] for row in rows)
    headers = ["tap", "kind", "shape", "type", "neurons", "chosen by", *["module"] * paths, ""]
    table = bare_table(*(Column(header, overflow="fold") for header in headers), gap=2)
    for row in rows:
        rows_of = "" if row["rows"] == 1 else f"{row['rows'] or '?'} of "
        cells = [row["name"], row["kind"], f"{rows_of}{_shown(row['shape'])} {row['layout'] or ''}", row["dtype"] or ""]
        cells += [_counts(row["neurons"]), ", ".join(row["chosen_by"])]
        cells += [", ".join(row["modules"])] * paths
        table.add_row(*map(Text, [*cells, _note(row)]), style="dim" if row["obstacle"] else None)
    console.print(table)


def _note(row: dict[str, Any]) -> str:
    if row["obstacle"]:
        return f"cannot be tapped: {row['obstacle']}"
    return f"tapped at {row['moved']['to']}" if row["moved"] else ""


def _counts(neurons: dict[str, int]) -> str:
    return ", ".join(counted(count, way) for way, count in neurons.items())


def _shown(shape: Sequence[int | None] | None) -> str:
    return "x".join("?" if size is None else str(size) for size in shape or ())
