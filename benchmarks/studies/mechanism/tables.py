"""The tables of the study, from its raw figures: the claims, then what they stand on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...tables import Part, Table, percent
from .claims import BASE, FIRST, MEAN, ClaimFound, PartFound, claims, over_seeds


def mechanism(figures: Mapping[str, Any]) -> list[Part]:
    """figures: ``{"seeds": {seed: figures of analyse}, "minutes": …, "quick": bool}``."""
    seeds = list(figures["seeds"].values())
    found = claims(seeds)
    names = list(seeds[0]["models"])
    kinds = list(seeds[0]["kinds"])
    last = seeds[0]["layers"] - 1
    return [
        _said(figures, seeds),
        Table(
            "The paper's claims, by rules fixed before the run",
            ["the paper", "verdict", "parts held / partly / not"],
            [_claim_row(claim) for claim in found],
        ),
        *(_parts(claim) for claim in found),
        *(
            Table(
                f"Clusters: distance over spread by layer, {where}",
                ["", *(f"layer {i + 1}" for i in range(last + 1)), "random labels", "AUROC, last"],
                [_clusters(seeds, name, last, of) for name in names],
            )
            for of, where in ((MEAN, "mean of the output positions"), (FIRST, "the first output alone"))
        ),
        Table(
            "Local Lipschitz constant, median",
            ["", *kinds],
            [
                [name, *(_mean(seeds, lambda f, n=name, k=k: f["models"][n]["lipschitz"][k]["median"]) for k in kinds)]
                for name in names
            ],
        ),
        *(_along(seeds, what, kinds) for what in ("refused", "right")),
    ]


def _said(figures: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]]) -> str:
    count, kinds = len(seeds), seeds[0]["kinds"]
    few = "One seed has no interval." if count == 1 else f"Intervals are t-intervals over {count} seeds: few, so wide."
    short = " A quick run: fewer inputs and seeds." if figures.get("quick") else ""
    inputs = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    return f"{few} Inputs a seed: {inputs}. It took {figures['minutes']:.0f} core-minutes.{short}"


def _claim_row(claim: ClaimFound) -> list[str]:
    said = [part.verdict for part in claim.parts]
    counts = " / ".join(str(said.count(verdict)) for verdict in ("held", "partly", "not held"))
    return [claim.says, claim.verdict, counts]


def _parts(claim: ClaimFound) -> Table:
    return Table(
        f"{claim.says}: {claim.shows}",
        ["", "ours", "untuned", "random", "verdict"],
        [_part_row(part) for part in claim.parts],
    )


def _part_row(part: PartFound) -> list[str]:
    return [part.name, _interval(part.values), _interval(part.untuned), _interval(part.random), part.verdict]


def _interval(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean, low, high = over_seeds(values)
    if math.isnan(mean):
        return "–"
    return f"{mean:.2f}" if low is None else f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _clusters(seeds: Sequence[Mapping[str, Any]], name: str, last: int, of: str) -> list[str]:
    distances = [_mean(seeds, lambda f, i=i: f["models"][name][of]["distance"][i]) for i in range(last + 1)]
    random = _mean(seeds, lambda f: f["models"][name][of]["shuffled"]["distance"][last])
    area = _mean(seeds, lambda f: f["models"][name][of]["auroc"][last], digits=3)
    return [name, *distances, random, area]


def _along(seeds: Sequence[Mapping[str, Any]], what: str, kinds: Sequence[str]) -> Table:
    """A share of the behaviour at every α, and that of the base with a random change."""
    rows = []
    for name, model in seeds[0]["models"].items():
        if name == BASE:
            continue
        for i, row in enumerate(model["scaling"]):
            shares = [
                _share(seeds, lambda f, n=name, i=i, k=k: f["models"][n]["scaling"][i]["behaviour"][k][what])
                for k in kinds
            ]
            rows.append([name, f"{row['alpha']:g}", *shares])
        if "random" in model:
            shares = [
                _share(seeds, lambda f, n=name, k=k: f["models"][n]["random"]["behaviour"][k][what]) for k in kinds
            ]
            rows.append([f"{name}, random change", "–", *shares])
    return Table(f"W_base + α ΔW: share {what}, mean over seeds", ["", "α", *kinds], rows)


def _mean(seeds: Sequence[Mapping[str, Any]], figure: Callable[[Any], float | None], digits: int = 2) -> str:
    values = [value for found in seeds if (value := figure(found)) is not None]
    return f"{sum(values) / len(values):.{digits}f}" if values else "–"


def _share(seeds: Sequence[Mapping[str, Any]], figure: Callable[[Any], float]) -> str:
    return percent(sum(map(figure, seeds)) / len(seeds), 0)
