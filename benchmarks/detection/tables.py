"""The tables of detection, from their raw figures."""

from __future__ import annotations

from typing import Any

from ..tables import Part, Table, percent

DEFAULT = "Outrider, default configuration"
CLOSE = 0.0005
"""A lead that would not be seen in the table is none."""


def detectors(figures: dict[str, Any]) -> list[Part]:
    """A row for each detector, the best mean first; where others lead; more figures; what was left out; the columns."""
    return [
        _rows(figures),
        *leads(figures),
        *_more(figures),
        *_settings(figures),
        *(f"Left out: {name}, which {why}." for name, why in figures["left_out"].items()),
        _columns(figures),
    ]


def stages(figures: dict[str, Any]) -> list[Part]:
    """A row for each choice of taps; then how many taps that is, and the columns."""
    taps = ", ".join(f"{name!r} {len(taps)}" for name, taps in figures["taps"].items())
    return [_rows(figures), f"Taps, the output among them: {taps}.", _columns(figures)]


def is_rival(row: dict[str, Any], name: str) -> bool:
    return "setting" in row or name.startswith("pytorch-ood ")


def leads(figures: dict[str, Any]) -> list[Part]:
    """The columns in which a detector of another library, or one criterion alone, is ahead of the default."""
    ours = figures["rows"].get(DEFAULT)
    if ours is None:
        return []
    found = []
    for name, own in ours["columns"].items():
        best = {}
        for who, row in figures["rows"].items():
            kind = "of the rivals" if is_rival(row, who) else "of the criteria alone"
            if who != DEFAULT and row["columns"][name]["auroc"] > best.get(kind, (own["auroc"] + CLOSE, ""))[0]:
                best[kind] = (row["columns"][name]["auroc"], who)
        found += [
            [name, f"{own['auroc'] * 100:.1f}", kind, who, f"{value * 100:.1f}", f"{(value - own['auroc']) * 100:.1f}"]
            for kind, (value, who) in sorted(best.items())
        ]
    if not found:
        return ["No rival and no criterion alone is ahead of the default in any column."]
    header = ["column", "default", "the best", "is", "with", "ahead by"]
    return [Table("Where others are ahead of the default: AUROC × 100", header, found)]


def _rows(figures: dict[str, Any]) -> Table:
    columns = [name for name in figures["columns"] if name != "test"]
    return Table(
        f"{figures['network']}, {percent(figures['accuracy'])} of the test images right: AUROC × 100 (% flagged)",
        ["detector", "false alarms", *columns, "mean"],
        [
            [
                name,
                percent(row["false_alarms"]),
                *(_cell(row["columns"][column]["auroc"], row["columns"][column]["flagged"]) for column in columns),
                _cell(row["mean_auroc"], row["mean_flagged"]) if "mean_flagged" in row else _hundred(row["mean_auroc"]),
            ]
            for name, row in _best_first(figures)
        ],
    )


def _more(figures: dict[str, Any]) -> list[Part]:
    """False alarms with their intervals, other figures of merit, and what a profile takes."""
    rows = [(name, row) for name, row in _best_first(figures) if all("aupr" in c for c in row["columns"].values())]
    if not rows:
        return []
    few = any("few" in row for _, row in rows)
    return [
        Table(
            "False alarms with 95 % intervals over frames; means over the columns of AUPR and of the false alarms at"
            " 95 % caught, × 100",
            ["detector", "false alarms %", *["of classes with few profiled %"] * few, "AUPR", "FPR95", "profile bytes"],
            [
                [
                    name,
                    _interval(row, "false_alarms"),
                    *[_interval(row, "few_false_alarms")] * few,
                    *(_hundred(_mean(row, figure)) for figure in ("aupr", "fpr95")),
                    f"{row['bytes']:,}" if "bytes" in row else "",
                ]
                for name, row in rows
            ],
        )
    ]


def _settings(figures: dict[str, Any]) -> list[Part]:
    """How the rivals were run, and what an image costs them."""
    rows = sorted((name, row) for name, row in figures["rows"].items() if "setting" in row)
    if not rows:
        return []
    return [
        Table(
            "How the rivals were run",
            ["rival", "setting", "images profiled", "judged of a column", "fit s", "µs an image"],
            [
                [
                    name, row["setting"], f"{row['profiled']:,}",
                    f"at most {max(row['judged']):,}" if "judged" in row else "all",
                    f"{row['fit_s']:.0f}", f"{row['us_an_image']:,.0f}",
                ]
                for name, row in rows
            ],
        )
    ]  # fmt: skip


def _columns(figures: dict[str, Any]) -> Table:
    splits = figures["splits"]
    return Table(
        f"The columns; {splits['profile']:,} images profiled, {splits['calibration']:,} for the threshold",
        ["column", "images", "of attacked", "mean L2 distance", "mean largest change of a pixel"],
        [
            [
                name, f"{column['n']:,}", f"{column['tried']:,}" if column["tried"] else "–",
                *(f"{column[norm]:.3f}" if column["tried"] else "–" for norm in ("l2", "linf")),
            ]
            for name, column in figures["columns"].items()
        ],
    )  # fmt: skip


def _best_first(figures: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(figures["rows"].items(), key=lambda item: -item[1]["mean_auroc"])


def _mean(row: dict[str, Any], figure: str) -> float:
    return sum(cell[figure] for cell in row["columns"].values()) / len(row["columns"])


def _hundred(share: float) -> str:
    return f"{share * 100:.1f}"


def _cell(auroc: float, flagged: float) -> str:
    return f"{auroc * 100:.1f} ({flagged * 100:.0f})"


def _interval(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return ""
    low, high = row[f"{name}_interval"]
    return f"{row[name] * 100:.1f} ({low * 100:.1f} to {high * 100:.1f})"
