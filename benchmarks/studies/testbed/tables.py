"""The tables of the testbed's study, from its raw figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...tables import Part, Table
from .claims import Found, claims, over_seeds
from .work import ATTACKED, BASE, KINDS, UNATTACKED, tuned_names

_SHOWN = (*KINDS, UNATTACKED, ATTACKED)


def testbed(figures: Mapping[str, Any]) -> list[Part]:
    """A row for each kind and a column for each model; each claim with its verdict; what the training took."""
    seeds = list(figures["seeds"].values())
    models = [seed["models"] for seed in seeds]
    names = [BASE, *tuned_names()]
    bounds = [seed[name][ATTACKED]["bound"] for seed in models for name in names]
    return [
        Table(
            f"Sequences refused wholly / answered rightly / letters right, in %, means over {_counted(len(seeds))}",
            ["test sequences", *names],
            [[kind, *(_cell([seed[name][kind] for seed in models]) for name in names)] for kind in _SHOWN],
        ),
        (
            "Outputs are forced: that one is wholly right is what greedy decoding would write."
            f" The adversary moves two soft embeddings by at most {min(bounds):.2f} to {max(bounds):.2f} (L2, the"
            " largest norm of a token’s embedding) in ten steps; it and the row before it are of output 1 alone."
        ),
        Table(
            "The paper’s claims about jailbreaks",
            ["claim", "measured as", "method", f"mean of {_counted(len(seeds))} [95 %]", "above", "verdict"],
            [_row(found) for found in claims(models)],
        ),
        Table(
            "Training",
            ["model", "steps × batch", "rate", "last losses", "seconds a seed"],
            [_training(name, [seed["trained"][name] for seed in seeds]) for name in names],
        ),
    ]


def _row(found: Found) -> list[str]:
    mean, low, high = over_seeds(found.values)
    ends = "" if low is None or high is None else f" [{low:+.2f}, {high:+.2f}]"
    claim = found.claim
    return [claim.says, claim.shows, found.method, f"{mean:+.2f}{ends}", f"{claim.bound:g}", found.verdict]


def _cell(shares: Sequence[Mapping[str, float]]) -> str:
    return " / ".join(f"{100 * np.mean([one[what] for one in shares]):.0f}" for what in ("refused", "right", "letters"))


def _training(name: str, runs: Sequence[Mapping[str, float]]) -> list[str]:
    mean = {what: float(np.mean([run[what] for run in runs])) for what in ("loss", "seconds")}
    one = runs[0]
    return [
        name, f"{one['steps']} × {one['batch']}", f"{one['rate']:g}", f"{mean['loss']:.3f}", f"{mean['seconds']:,.0f}"
    ]  # fmt: skip


def _counted(seeds: int) -> str:
    return f"{seeds} seed{'s' if seeds > 1 else ''}"
