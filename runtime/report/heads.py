"""The page of a search for attention heads, and its map as a picture."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...networks.packages import require
from ..pages import fill, heights
from .page import figure, share

if TYPE_CHECKING:
    from ...monitor.heads import HeadCalibration, SearchReport

_LEFT_OUT = 50
_BINS = 40


@dataclass(frozen=True)
class HeadCell:
    """A head on the map. auroc, separation: NaN where it was not measured. rank: from 1 among the chosen, 0 for none.

    strength: (auroc - 0.5) * 2 where that is above 0, which is how strong its colour is; weakness: the same below 0.5.
    """

    layer: int
    head: int
    auroc: float
    separation: float
    rank: int

    @property
    def measured(self) -> bool:
        return not math.isnan(self.auroc)

    @property
    def strength(self) -> float:
        return max(0.0, 2 * self.auroc - 1) if self.measured else 0.0

    @property
    def weakness(self) -> float:
        return max(0.0, 1 - 2 * self.auroc) if self.measured else 0.0

    @property
    def hundredths(self) -> str:
        """The AUROC in hundredths; only 1 reads as 100, only 0 as 0."""
        return str(round(100 * self.auroc) if self.auroc in (0, 1) else min(99, max(1, round(100 * self.auroc))))

    @property
    def name(self) -> str:
        """In words, for a reader who points at it."""
        if not self.measured:
            return f"layer {self.layer}, head {self.head}: not measured"
        chosen = f"; number {self.rank} of those chosen" if self.rank else ""
        return (
            f"layer {self.layer}, head {self.head}: AUROC {self.auroc:.3f}, d′ {self.separation:.2f}{chosen}"
        )  # fmt: skip


def cells(report: SearchReport) -> list[list[HeadCell]]:
    """The map: a row per layer, from the first."""
    ranks = {tuple(head): rank for rank, head in enumerate(report.chosen, 1)}
    return [
        [
            HeadCell(layer, head, float(auroc), float(report.separation[layer, head]), ranks.get((layer, head), 0))
            for head, auroc in enumerate(row)
        ]
        for layer, row in enumerate(report.auroc)
    ]


def render_heads(report: SearchReport, model: str, calibration: HeadCalibration | None = None) -> str:
    """The page as HTML, style and figures inside. model: in words. Raises ImportError naming the extra `report`."""
    rows = cells(report)
    every = [cell for row in rows for cell in row]
    measured = [cell for cell in every if cell.measured]
    chosen = sorted((cell for cell in every if cell.rank), key=lambda cell: cell.rank)
    joint = len(chosen) == len(every)
    return fill(
        Path(__file__).with_name("heads.html"),
        {"share": share, "figure": figure, "auroc": lambda value: f"{value:.3f}"},
        report=report,
        model=model,
        calibration=calibration,
        statistic=_in_words(report.statistic),
        rows=rows,
        numbered=len(rows[0]) <= 24,
        measured=measured,
        chosen=[] if joint else chosen,
        joint=joint,
        best=max(measured, key=lambda cell: (cell.auroc, cell.separation)),
        curves=_curves(rows),
        null=_null(report),
        skipped=report.skipped[:_LEFT_OUT],
        hidden=max(0, len(report.skipped) - _LEFT_OUT),
    )


def heads_picture(report: SearchReport, model: str) -> bytes:
    """The map as a PNG, the chosen heads framed. Raises ImportError naming the extra `report`."""
    require("matplotlib", "a picture of the map needs matplotlib", "report")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    layers, heads = report.auroc.shape
    side = min(0.42, 12 / max(layers, heads))
    drawn = Figure(figsize=(max(4.6, heads * side + 2.4), max(3.2, layers * side + 1.6)), dpi=160, layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.add_subplot()
    colours = axes.imshow(report.auroc, cmap="RdBu_r", vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    for rank, (layer, head) in enumerate(report.chosen, 1):
        if len(report.chosen) == report.auroc.size:
            break
        axes.add_patch(Rectangle((head - 0.5, layer - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.6))
        dark = abs(report.auroc[layer, head] - 0.5) > 0.3
        axes.text(head, layer, str(rank), ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xticks(range(0, heads, max(1, heads // 16)))
    axes.set_yticks(range(0, layers, max(1, layers // 16)))
    axes.set_xlabel("head")
    axes.set_ylabel("layer")
    p = "" if report.p_value is None else f", p = {report.p_value:.2g}"
    axes.set_title(f"{model}\n{_in_words(report.statistic)}: AUROC of the choice {report.found:.3f}{p}", fontsize=8)
    drawn.colorbar(colours, ax=axes, label="AUROC, unsafe above safe", shrink=0.7)
    file = io.BytesIO()
    drawn.savefig(file, format="png")
    return file.getvalue()


def _in_words(statistic: dict[str, Any]) -> str:
    """``read_out, lda``: the name, and of its parameters the kind."""
    return ", ".join(str(statistic[name]).replace("_", " ") for name in ("name", "kind") if name in statistic)


def _curves(rows: list[list[HeadCell]]) -> dict[str, list[tuple[float, float]]]:
    """The best and the middle head of each measured layer: points (layer, AUROC)."""
    found: dict[str, list[tuple[float, float]]] = {"best": [], "middle": []}
    for layer, row in enumerate(rows):
        values = [cell.auroc for cell in row if cell.measured]
        if values:
            found["best"].append((layer, max(values)))
            found["middle"].append((layer, float(np.median(values))))
    return found


def _null(report: SearchReport) -> dict[str, Any] | None:
    """The AUROC of the choice on shuffled labels: bars over [0, 1], middle, most; None without shuffles."""
    if not len(report.null):
        return None
    return {
        "bars": heights(report.null, _BINS, 1.0),
        "middle": float(np.median(report.null)),
        "most": float(report.null.max()),
        "count": len(report.null),
        "as_good": int((report.null >= report.found).sum()),
    }
