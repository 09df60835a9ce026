"""The page of an analysis: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...pages import fill
from . import figures as drawn
from .gathering import BASE

_CLOSE = 0.05
"""Shares closer than this to those of random changes are said to be like them."""


def render_analysis(figures: Mapping[str, Any], title: str, *, left_out: tuple[str, ...] = ()) -> str:
    """The page as HTML with its drawings inside. figures: of `analyse`. title: the base in words.

    left_out: sentences about inputs that were not measured. Raises ImportError naming the extra `lab`.
    """
    models = figures["models"]
    tuned = {name: model for name, model in models.items() if name != BASE}
    parts = list(dict.fromkeys(row["name"].split(".", 1)[1] for m in tuned.values() for row in m["weights"]))
    first = next(iter(tuned.values()))
    what = next((w for w in ("refused", "right") if _behaves(first, w)), None)
    return fill(
        Path(__file__).with_name("analysis.html"),
        {"figure": number, "share": share, "times": times},
        title=title,
        models=models,
        tuned=tuned,
        base=models[BASE],
        plan=figures["plan"],
        kinds=figures["kinds"],
        others=[kind for kind in figures["kinds"] if kind not in ("safe", "unsafe")],
        layers=figures["layers"],
        colours=drawn.model_colours(models),
        kind_colours=drawn.kind_colours(figures["kinds"]),
        best=max(tuned, key=lambda name: tuned[name]["separation"]["distance"][-1] or 0.0),
        depth=drawn.depth(models),
        depth_first=drawn.depth(models, "separation_first") if "separation_first" in models[BASE] else None,
        taus={name: drawn.taus(name, model) for name, model in models.items()},
        outside={part: drawn.outside_shares(models, part) for part in parts},
        effects={part: drawn.effects(models, part) for part in parts},
        directions={name: drawn.directions(name, model, parts[0]) for name, model in tuned.items()},
        first_part=parts[0],
        weights={name: [_of_part(model["weights"], part) for part in parts] for name, model in tuned.items()},
        slopes=drawn.slopes(models),
        along={
            name: [(w, drawn.along(name, model, w)) for w in ("refused", "right") if _behaves(model, w)]
            for name, model in tuned.items()
        },
        what=what,
        left_out=left_out,
    )


def number(value: float | None, digits: int = 2) -> str:
    """Plainly, with so many digits behind the point; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """In hundredths; only 1 reads as 100, only 0 as 0."""
    if value is None:
        return "–"
    return f"{round(100 * value) if value in (0, 1) else min(99, max(1, round(100 * value)))}\u202f%"


def times(value: float | None) -> str:
    """As a factor."""
    return "–" if value is None else f"{value:.2f}\u202f×"


def _behaves(model: Mapping[str, Any], what: str) -> bool:
    return any(what in rates for row in model["scaling"] for rates in row["behaviour"].values())


def _of_part(rows: list[dict[str, Any]], part: str) -> dict[str, Any]:
    """The means over layers of the matrices of a name."""
    of = [row for row in rows if row["name"].split(".", 1)[1] == part]

    def mean(group: str, key: str) -> float | None:
        values = [row[group][key] for row in of if row[group][key] is not None]
        return sum(values) / len(values) if values else None

    outside = {key: mean("outside", key) for key in ("share", "random_change", "random_base", "relative")}
    effect = {key: mean("effect", key) for key in ("ratio", "random_ratio", "auroc", "random_auroc")}
    found, random = outside["share"], outside["random_change"]
    verdict = "nothing changed"
    if found is not None and random is not None:
        verdict = (
            "as random" if abs(found - random) < _CLOSE else ("more" if found > random else "less") + " than random"
        )
    return {"part": part, "verdict": verdict} | outside | effect
