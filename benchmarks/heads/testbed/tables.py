"""The tables of the testbed, from its raw figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...tables import Part, Table, percent

TESTS = ("new images", "left-out tasks", "left-out concepts")


def testbed(figures: Mapping[str, Any]) -> list[Part]:
    """What the model does, then a row for each statistic and rival, on the tests and on the jailbreaks."""
    rows, does, sizes = figures["rows"], figures["model_does"], figures["sizes"]
    attacks = [name for name in does if name not in TESTS and not name.startswith(("search", "threshold"))]
    build = figures["build"]
    named, recognised = (list(build[what].values()) for what in ("named", "recognised"))
    return [
        Table(
            "What the model does by itself, per cent of the inputs",
            ["", "unsafe: n", "refused", "answered", "of the picture’s concept", "safe: n", "refused", "answered"],
            [_done(name, does[name], sizes[name]) for name in does],
        ),
        (
            f"Built in {build['seconds'] / 60:.0f} minutes ({build['processor_seconds'] / 60:.0f} of processor time):"
            f" {build['tower_steps']:,} steps of the tower, {build['lora_steps']:,} of LoRA. It names"
            f" {percent(sum(named) / len(named))} of test pictures, mean over {len(named)} concepts; the tower alone is"
            f" right on {percent(sum(recognised) / len(recognised))}."
        ),
        Table(
            "Told apart: AUROC (% caught / % flagged at the threshold for 5 %)",
            ["", *TESTS],
            [[name, *(_cell(found[key]) for key in TESTS)] for name, found in rows.items()],
        ),
        Table(
            "The same heads, with the threshold from safe pairs of all tasks and concepts: % caught / % flagged",
            ["", *TESTS],
            [[name, *(_wider(found[key]) for key in TESTS)] for name, found in rows.items()],
        ),
        Table(
            "Jailbreaks, all unsafe inputs against safe ones of the same form: AUROC (% caught / % flagged)",
            ["", *attacks],
            [[name, *(_cell(found[key]) for key in attacks)] for name, found in rows.items()],
        ),
        Table(
            "Jailbreaks that the model answers: how many are caught, and the AUROC of these against safe inputs",
            ["", *attacks],
            [[name, *(_answered(found[key]) for key in attacks)] for name, found in rows.items()],
        ),
        "Inputs of either kind: " + "; ".join(f"{key} {_counted(rows, key)}" for key in (*TESTS, *attacks)) + ".",
    ]


def _done(name: str, does: Mapping[str, Any], sizes: Mapping[str, int]) -> list[str]:
    unsafe, safe = does.get("unsafe"), does["safe"]
    first = ["–"] * 4
    if unsafe:
        shares = [percent(unsafe[what], 0) for what in ("refused", "answered", "answered_own")]
        first = [str(sizes["unsafe"]), *shares]
    return [name, *first, str(sizes["safe"]), percent(safe["refused"], 0), percent(safe["answered"], 0)]


def _counted(rows: Mapping[str, Any], key: str) -> str:
    """The number of a set, and that of the rows with fewer."""
    numbers = sorted({found[key]["n"] for found in rows.values()}, reverse=True)
    return str(numbers[0]) + "".join(f" (angles: {number})" for number in numbers[1:])


def _cell(found: Mapping[str, Any]) -> str:
    return f"{found['auroc']:.3f} ({found['caught'] * 100:.0f} / {found['flagged'] * 100:.0f})"


def _wider(found: Mapping[str, Any]) -> str:
    return f"{found['caught_wider'] * 100:.0f} / {found['flagged_wider'] * 100:.0f}"


def _answered(found: Mapping[str, Any]) -> str:
    if not found["answered"]:
        return "–"
    return f"{found['answered_caught']}/{found['answered']} ({found['answered_auroc']:.2f})"
