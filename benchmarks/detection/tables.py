"""The tables of detection, from their raw figures."""

from __future__ import annotations

from typing import Any

from ..tables import Part, Table, percent

DEFAULT = "Outrider, default configuration"


def detectors(figures: dict[str, Any]) -> list[Part]:
    """A row for each detector, the best mean first; then what was left out, and the columns."""
    return [
        _rows(figures),
        *(f"Left out: pytorch-ood {name}, which {why}." for name, why in figures["left_out"].items()),
        _columns(figures),
    ]


def stages(figures: dict[str, Any]) -> list[Part]:
    """A row for each choice of taps; then how many taps that is, and the columns."""
    taps = ", ".join(f"{name!r} {len(taps)}" for name, taps in figures["taps"].items())
    return [_rows(figures), f"Taps, the output among them: {taps}.", _columns(figures)]


def _rows(figures: dict[str, Any]) -> Table:
    rows = sorted(figures["rows"].items(), key=lambda item: -item[1]["mean_auroc"])
    columns = [name for name in figures["columns"] if name != "test"]
    return Table(
        f"{figures['network']}, {percent(figures['accuracy'])} of the test images right: AUROC × 100 (% flagged)",
        ["detector", "false alarms", *columns, "mean"],
        [
            [
                name,
                percent(row["false_alarms"]),
                *(
                    f"{cell['auroc'] * 100:.1f} ({cell['flagged'] * 100:.0f})"
                    for cell in map(row["columns"].get, columns)
                ),
                f"{row['mean_auroc'] * 100:.1f}",
            ]
            for name, row in rows
        ],
    )


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
