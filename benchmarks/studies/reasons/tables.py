"""The tables of the study, from its raw figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...tables import Part, Table, percent
from .claims import claims, estimate

NAMES = {"reasons": "reasons (SafeCoT)", "plain": "plain refusals"}
HEADS = {
    "unsafe": "unsafe", "contrasts": "unsafe, XSTest", "borderline": "borderline safe, XSTest", "safe": "safe",
}  # fmt: skip


def reasons(figures: Mapping[str, Any]) -> list[Part]:
    """What is refused by kind of supervision and number of examples; then the claims."""
    refused = arrays(figures)
    base = figures["base"]
    rows = [["untuned", "–", *(percent(float(np.mean(base[name])), 0) for name in HEADS)]]
    rows += [
        [words, str(size), *(_cell(refused[kind][size][name]) for name in HEADS)]
        for size in sorted(refused["reasons"])
        for kind, words in NAMES.items()
    ]
    seeds = len(figures["seeds"])
    setting = figures["setting"]
    rewriting = figures["rewriting"]
    kept, asked = rewriting.get("kept", 0), sum(rewriting.values())
    broken = "".join(f"; {name}: {count}" for name, count in sorted(rewriting.items()) if name != "kept")
    return [
        Table(
            f"{figures['model']}: refused, in the mean of {seeds} seeds [95 % over seeds and prompts]",
            ["supervision", "examples", *(f"{head} ({len(base[name])})" for name, head in HEADS.items())],
            rows,
        ),
        (
            f"{setting['steps']} steps of {setting['batch']} examples each, LoRA of rank {setting['rank']} above layer"
            f" {setting['below']}, rate {setting['rate']:g}; {figures['seconds'] / 60:.0f} core-minutes in all."
        ),
        Table(
            "The paper’s claims, and rules fixed beforehand",
            ["claim", "figure", "points [95 %]", "held where", "held?"],
            [
                [one.statement, one.figure, _points(one.value, one.low, one.high), one.rule, one.held]
                for one in claims(refused)
            ],
        ),
        f"Reasons rewritten by the same model that keep the rules: {kept} of {asked}{broken}.",
    ]  # fmt: skip


def arrays(figures: Mapping[str, Any]) -> dict[str, dict[int, dict[str, np.ndarray]]]:
    """The judgements as arrays, kind -> examples -> set -> (seeds, prompts) bool."""
    found: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for kind, sizes in figures["refused"].items():
        found[kind] = {
            int(size): {name: np.array([one[name] for one in seeds], dtype=bool) for name in HEADS}
            for size, seeds in sizes.items()
        }
    return found


def _cell(values: np.ndarray) -> str:
    value, low, high = estimate([values.astype(float)])
    return f"{value * 100:.0f} % [{low * 100:.0f}, {high * 100:.0f}]"


def _points(value: float, low: float, high: float) -> str:
    return f"{value * 100:+.1f} [{low * 100:+.1f}, {high * 100:+.1f}]"
