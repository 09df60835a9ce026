"""What a heads file holds, for `outrider inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ....monitor.files import checked_contents
from ....monitor.heads.files import read_packed
from ...printable import counted, printable
from ..printing import bare_table, checked, finite

_SHOWN = 40


def describe_heads(path: Path) -> dict[str, Any] | None:
    """The facts of a heads file in JSON types, AUROC and d′ of its heads among them; None for a profile.

    Needs no model. Raises ProfileError for a file that is damaged or of another kind.
    """
    if checked_contents(path, arrays=False).facts.get("kind") != "heads":
        return None
    contents = read_packed(path)
    facts, arrays = contents.facts | {"sha256": contents.sha256, "digest": contents.digest}, contents.arrays
    for name, key in (("auroc", "search.auroc"), ("separation", "search.separation")):
        found = arrays.get(key)
        facts[name] = None if found is None else [finite(float(found[layer, head])) for layer, head in facts["chosen"]]
    if facts["calibration"] is not None:
        facts["calibration"]["n"] = len(arrays["calibration.scores"])
    return facts


def print_heads(path: Path, facts: dict[str, Any]) -> None:
    """Print `describe_heads` for a reader."""
    console = Console(highlight=False)
    decoder, search = facts["decoder"], facts["search"]
    settings = dict(facts["statistic"])
    name = settings.pop("name")
    summary = Table.grid("what", "value", padding=(0, 3))
    summary.add_row("heads file", Text(printable(str(path))))
    summary.add_row("file", checked(facts["digest"]))
    summary.add_row("model", Text(printable(f"{decoder['name']}, {decoder['dtype']}")))
    summary.add_row("weights", f"SHA-256 {decoder['fingerprint'][:12]}…")
    summary.add_row("prompts become tokens by", f"SHA-256 {decoder['encoding'][:12]}…")
    summary.add_row(
        "statistic", Text(printable(", ".join([name, *(f"{key} {value}" for key, value in settings.items())])))
    )
    if search is not None:
        p = "not held against shuffled labels" if search["p_value"] is None else f"p = {search['p_value']:.3g}"
        seen = f"{search['unsafe']:,} unsafe and {counted(search['safe'], 'safe prompt')}"
        summary.add_row("search", f"AUROC of the choice {search['found']:.3f}, {p}; {seen}")
        if search["skipped"]:
            summary.add_row("left out", counted(len(search["skipped"]), "prompt"))
    summary.add_row("threshold", _calibration(facts["calibration"]))
    console.print(summary)
    table = bare_table(*(Column(of, justify="right") for of in ("layer", "head", "AUROC", "d′")))
    chosen = facts["chosen"]
    for i, (layer, head) in enumerate(chosen[:_SHOWN]):
        numbers = (None if facts[key] is None else facts[key][i] for key in ("auroc", "separation"))
        auroc, separation = ("" if value is None else f"{value:.3f}" for value in numbers)
        table.add_row(str(layer), str(head), auroc, separation)
    console.print()
    console.print(table)
    if len(chosen) > _SHOWN:
        console.print(f"and {len(chosen) - _SHOWN:,} more heads")


def _calibration(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return "none yet: `outrider head calibrate` sets it"
    return (
        f"{facts['threshold']:.4g}, for a false-alarm rate of {facts['false_alarm_rate']:g};"
        f" {facts['flagged']:,} of {counted(facts['judged'], 'safe prompt')} flagged"
    )
