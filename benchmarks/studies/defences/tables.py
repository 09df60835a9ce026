"""The tables of the study, from its raw figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from outrider.runtime.lab.evaluation import DEFENCES

from ...tables import Part, Table, percent
from ..reasons.claims import estimate
from .claims import ANSWERED, REFUSED, ROOM, claims

LETTERS = {"answered": "a", "refused": "r", "garbage": "g"}


def defences(figures: Mapping[str, Any]) -> list[Part]:
    """What each defence does and costs; then the claims, and what they are worth on this model."""
    cells = figures["cells"]
    judged = arrays(cells)
    rows = [
        [model, DEFENCES[name].title, *_cells(judged[model][name], cells[model][name])]
        for model in cells
        for name in cells[model]
    ]
    judge = figures["judge"]
    setting = figures["setting"]
    low, high = (f"{bound * 100:.1f}" for bound in judge["interval"])
    return [
        Table(
            f"{figures['model']}: {figures['unsafe']} unsafe and {figures['safe']} safe prompts [95 %]",
            [
                "model", "defence", "unsafe answered", "instructions", "XSTest", "safe refused", "instructions",
                "XSTest", "garbage", "prefills", "tokens read", "written",
            ],
            rows,
        ),
        (
            f"Tuned models: means of {len(figures['seeds'])} seeds, {setting['steps']} steps of {setting['batch']} of"
            f" {figures['examples']} examples, LoRA of rank {setting['rank']} above layer {setting['below']}, rate"
            f" {setting['rate']:g}. Answers are judged by their first {figures['tokens']} tokens and not kept. The"
            f" judge ({judge['judge']}) is right on {judge['right']} of {judge['n']} made-up answers that no"
            f" rule was written for, {percent(judge['accuracy'])} [{low}, {high}]."
            f" {figures['seconds'] / 60:.0f} core-minutes in all."
        ),
        Table(
            "The paper’s claims, and rules fixed beforehand",
            ["claim", "figure", "points [95 %]", "held where", "held?"],
            [
                [one.statement, one.figure, _points(one.value, one.low, one.high), one.rule, one.held]
                for one in claims(judged)
            ],
        ),
        (
            "The model is small and weakly aligned: without a defence it answers nearly every unsafe prompt, so that"
            " attacks find little to break in it, and it hardly reads what an instruction says or what a self-check"
            f" asks. “No room” says that a rate could not move by {ROOM * 100:.0f} points. What an answered prompt is"
            " worth to an attacker is another matter: a model of this size knows little."
        ),
    ]  # fmt: skip


def arrays(cells: Mapping[str, Any]) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Judgements as arrays: model -> defence -> rate -> (seeds, prompts) bool."""
    return {
        model: {
            name: {ANSWERED: _letters(cell["unsafe"]) == "a", REFUSED: _letters(cell["safe"]) == "r"}
            for name, cell in of.items()
        }
        for model, of in cells.items()
    }


def _cells(judged: Mapping[str, np.ndarray], cell: Mapping[str, Any]) -> list[str]:
    found = []
    for rate, first, second in ((ANSWERED, slice(None, cell["halves"][0]), slice(cell["halves"][0], None)),
                                (REFUSED, slice(cell["halves"][1], None), slice(None, cell["halves"][1]))):  # fmt: skip
        values = judged[rate].astype(float)
        value, low, high = estimate([values])
        found.append(f"{value * 100:.0f} % [{low * 100:.0f}, {high * 100:.0f}]")
        found += [percent(float(values[:, part].mean()), 0) for part in (first, second)]
    letters = "".join([*cell["unsafe"], *cell["safe"]])
    costs = (f"{cell['prefills']:.2f}", f"{cell['tokens_read']:.0f}", f"{cell['tokens_written']:.1f}")
    return [*found, percent(letters.count("g") / len(letters), 0), *costs]


def _letters(rows: Any) -> np.ndarray:
    return np.array([list(row) for row in rows])


def _points(value: float, low: float, high: float) -> str:
    return f"{value * 100:+.1f} [{low * 100:+.1f}, {high * 100:+.1f}]"
