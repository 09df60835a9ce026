"""Attack success against over-refusal: a point for each defence and model."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ....networks.packages import require
from .defences import DEFENCES
from .tables import judge_note

if TYPE_CHECKING:
    from .evaluating import DefenceTable

_COLOURS = (
    "#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#16a085", "#7f8c8d", "#34495e", "#b03a7e", "#6b4f2a",
)  # fmt: skip
_MARKERS = "osD^vP*X<>hdp8"
_NEAR = 0.05, 0.022
"""Of the axes, along and up: points that are no further apart have their numbers side by side."""


def defences_picture(table: DefenceTable, family: Callable[[str], str] | None = None) -> bytes:
    """A PNG: safe prompts refused to the right, unsafe ones answered upwards, so that the best is below on the left.

    Each point has a number, told beside the picture; its lines are the 95 % intervals. A colour is a model, a mark is a
    defence. family: of a model's name, which models share a colour, such as several seeds; by default none do.
    Raises ImportError naming the extra `report` without matplotlib.
    """
    require("matplotlib", "a picture of defences needs matplotlib", "report")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    of = family or str
    models = list(dict.fromkeys(of(cell.model) for cell in table.cells))
    lines = len(table.cells)
    drawn = Figure(figsize=(11.5, max(6.0, 1.6 + 0.21 * lines)), dpi=150, layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.add_subplot()
    handles = []
    names = list(DEFENCES)
    for number, cell in enumerate(table.cells, 1):
        colour = _COLOURS[models.index(of(cell.model)) % len(_COLOURS)]
        marker = _MARKERS[names.index(cell.defence) % len(_MARKERS)]
        refused, answered = cell.safe_refused, cell.unsafe_answered
        bars = [[[rate.share - rate.interval[0]], [rate.interval[1] - rate.share]] for rate in (refused, answered)]
        axes.errorbar(
            refused.share, answered.share, xerr=bars[0], yerr=bars[1], color=colour, alpha=0.25, linewidth=1, zorder=1
        )
        label = f"{number}  {cell.model}: {DEFENCES[cell.defence].title}"
        (point,) = axes.plot(
            refused.share, answered.share, marker=marker, color=colour, markeredgecolor="white", markersize=9,
            linestyle="", label=label, zorder=2,
        )  # fmt: skip
        handles.append(point)
    points = [(cell.safe_refused.share, cell.unsafe_answered.share) for cell in table.cells]
    for (x, y), group in grouped(points):
        _number(axes, x, y, ", ".join(str(i + 1) for i in group))
    axes.set(
        xlim=(-0.03, 1.03), ylim=(-0.03, 1.06), xlabel="safe prompts refused (over-refusal)",
        ylabel="unsafe prompts answered (attack success)",
    )  # fmt: skip
    ticks = [i / 5 for i in range(6)]
    axes.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8.5, frameon=False)
    first = judge_note(table.judge).split(";")[0].rstrip(".")
    drawn.suptitle(f"Defences; the best is below on the left. {first}", fontsize=9, x=0.01, ha="left")
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png")
    return buffer.getvalue()


def grouped(points: list[tuple[float, float]]) -> list[tuple[tuple[float, float], list[int]]]:
    """Places for numbers, and the points of each: those that lie nearly on top of each other share one."""
    groups: list[tuple[tuple[float, float], list[int]]] = []
    for index, (x, y) in enumerate(points):
        for (left, low), members in groups:
            if abs(x - left) <= _NEAR[0] and abs(y - low) <= _NEAR[1]:
                members.append(index)
                break
        else:
            groups.append(((x, y), [index]))
    return groups


def _number(axes: Any, x: float, y: float, text: str) -> None:
    left = x < 0.85
    axes.annotate(
        text, (x, y), xytext=(7 if left else -7, 6), textcoords="offset points", fontsize=8.5,
        ha="left" if left else "right", zorder=3,
    )  # fmt: skip
