"""The figures of an analysis as drawings inside a page: matplotlib's SVG in the page's own colours and letters."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

from ....networks.packages import require
from ...printable import printable
from .gathering import BASE

# As in pages/base.html: drawn in these, then named, so that a page in the dark has its own.
_COLOURS = {
    "ink": "#1d1c1a", "muted": "#6a665f", "line": "#e3dfd7", "teal": "#1f7a8c", "orange": "#b87509", "red": "#c43d35",
    "purple": "#7650b0", "green": "#4b8b3b", "slate": "#46536b", "grey": "#8a8577",
}  # fmt: skip
_KINDS = {"safe": "teal", "unsafe": "red"}
_OTHERS = ("purple", "orange", "green", "slate", "grey")
_MODELS = ("teal", "red", "purple", "orange", "green", "slate")
_SIZE = (3.7, 2.5)


def kind_colours(kinds: Mapping[str, Any]) -> dict[str, str]:
    """The colour's name of each kind of input: safe teal, unsafe red, then others in turn."""
    others = [kind for kind in kinds if kind not in _KINDS]
    return {k: c for k, c in _KINDS.items() if k in kinds} | {k: _OTHERS[i % 5] for i, k in enumerate(others)}


def model_colours(models: Mapping[str, Any]) -> dict[str, str]:
    """The colour's name of each model, grey for the base."""
    tuned = [name for name in models if name != BASE]
    return {BASE: "grey"} | {name: _MODELS[i % len(_MODELS)] for i, name in enumerate(tuned)}


def depth(models: Mapping[str, Any], of: str = "separation") -> Any:
    """Distance of the clusters by layer, a line a model; dashed: what random labels reach in one of forty draws.

    of: ``separation`` for the mean over output positions, ``separation_first`` for the first alone.
    """

    def draw(axes: Any) -> None:
        for name, colour in model_colours(models).items():
            values = models[name][of]["distance"]
            axes.plot(_layers(values), _numbers(values), color=_COLOURS[colour], marker="o", markersize=3, lw=1.5)
        shuffled = models[BASE][of]["shuffled"].get("distance_high")
        if shuffled:
            axes.plot(_layers(shuffled), _numbers(shuffled), color=_COLOURS["muted"], ls="--", lw=1)
        axes.set_ylim(bottom=0)
        _depth_axis(axes, len(models[BASE]["separation"]["distance"]))
        axes.set_ylabel("distance / spread")

    where = ", at the first output" if of.endswith("first") else ""
    return drawing(draw, f"distance of the clusters in units of their spread, by layer, for each model{where}")


def taus(name: str, model: Mapping[str, Any]) -> Any:
    """τ of every kind by layer: the median, and for safe and unsafe inputs the middle half."""

    def draw(axes: Any) -> None:
        found = model["separation"]["tau"]
        axes.axhline(0, color=_COLOURS["muted"], lw=0.8)
        for kind, colour in kind_colours(found).items():
            rows = found[kind]
            at = _layers(rows)
            if kind in _KINDS:
                low, high = (_numbers([row[i] for row in rows]) for i in (1, 3))
                axes.fill_between(at, low, high, color=_COLOURS[colour], alpha=0.2, lw=0)
            axes.plot(at, _numbers([row[2] for row in rows]), color=_COLOURS[colour], lw=1.6, marker="o", markersize=3)
        _depth_axis(axes, len(found["safe"]))
        axes.set_ylabel("τ")

    return drawing(draw, f"τ by layer and kind of input: {name}")


def outside_shares(models: Mapping[str, Any], part: str) -> Any:
    """The share of ΔW outside the base's span, by layer, of the matrices of a name; dashed: random changes."""

    def draw(axes: Any) -> None:
        for name, colour in model_colours(models).items():
            rows = [row for row in models[name].get("weights", ()) if row["name"].split(".", 1)[1] == part]
            if rows:
                at = [row["layer"] + 1 for row in rows]
                for key, style in (("share", "-"), ("random_change", "--")):
                    values = _numbers([row["outside"][key] for row in rows])
                    axes.plot(at, values, color=_COLOURS[colour], ls=style, lw=1.4, marker="o", markersize=2.5)
        _depth_axis(axes, len(models[BASE]["separation"]["distance"]))
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel("share outside")

    return drawing(draw, f"share of the change of {part} outside the span of the base's matrix, by layer")


def effects(models: Mapping[str, Any], part: str) -> Any:
    """‖ΔW a‖ of unsafe over safe inputs by layer; dashed: random changes of the same spectrum."""

    def draw(axes: Any) -> None:
        axes.axhline(1, color=_COLOURS["muted"], lw=0.8)
        for name, colour in model_colours(models).items():
            rows = [row for row in models[name].get("weights", ()) if row["name"].split(".", 1)[1] == part]
            if rows:
                at = [row["layer"] + 1 for row in rows]
                for key, style in (("ratio", "-"), ("random_ratio", "--")):
                    values = _numbers([row["effect"][key] for row in rows])
                    axes.plot(at, values, color=_COLOURS[colour], ls=style, lw=1.4, marker="o", markersize=2.5)
        _depth_axis(axes, len(models[BASE]["separation"]["distance"]))
        axes.set_ylabel("‖ΔW a‖, unsafe / safe")

    return drawing(draw, f"length of the change's effect in {part}, unsafe over safe inputs, by layer")


def directions(name: str, model: Mapping[str, Any], part: str) -> Any:
    """|σ_j ⟨a, v_j⟩| / ‖a‖ of each kind along the first right singular vectors of ΔW in the last layer's matrix."""

    def draw(axes: Any) -> None:
        row = [row for row in model["weights"] if row["name"].split(".", 1)[1] == part][-1]
        found = row["effect"]["directions"]
        for kind, colour in kind_colours(found).items():
            at = range(1, len(found[kind]) + 1)
            axes.plot(at, _numbers(found[kind]), color=_COLOURS[colour], lw=1.4, marker="o", markersize=3)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("singular vector j")
        axes.set_ylabel("|σ ⟨a, v⟩| / ‖a‖")

    return drawing(draw, f"effect along the first singular vectors of the change of {part}: {name}")


def slopes(models: Mapping[str, Any]) -> Any:
    """The local Lipschitz constant of every model and kind, with its interval; hollow: after a random change."""
    require("matplotlib", "the figures of an analysis need matplotlib", "lab")
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    def draw(axes: Any) -> None:
        kinds = kind_colours(models[BASE]["lipschitz"])
        for row, model in enumerate(models.values()):
            for place, (kind, colour) in enumerate(kinds.items()):
                at = row + (place - (len(kinds) - 1) / 2) * 0.7 / max(1, len(kinds))
                for source, fill in ((model, _COLOURS[colour]), (model.get("random"), "none")):
                    if source:
                        one = source["lipschitz"][kind]
                        axes.plot([one["low"], one["high"]], [at, at], color=_COLOURS[colour], lw=1.2)
                        axes.plot(one["median"], at, "o", ms=4, color=_COLOURS[colour], mfc=fill, mew=1)
        axes.set_yticks(range(len(models)), [printable(name) for name in models])
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("‖gradient of the highest logit‖")

    return drawing(draw, "local Lipschitz constant by model and kind of input", (3.7, 1 + 0.42 * len(models)))


def along(name: str, model: Mapping[str, Any], what: str) -> Any:
    """A share of the behaviour along α, a line a kind."""

    def draw(axes: Any) -> None:
        rows = model["scaling"]
        kinds = [kind for kind, values in rows[0]["behaviour"].items() if what in values]
        for kind, colour in kind_colours(dict.fromkeys(kinds)).items():
            values = _numbers([row["behaviour"][kind][what] for row in rows])
            axes.plot([row["alpha"] for row in rows], values, color=_COLOURS[colour], lw=1.5, marker="o", markersize=3)
        axes.axvline(1, color=_COLOURS["muted"], lw=0.8, ls=":")
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("α")
        axes.set_ylabel(f"share {what}")

    return drawing(draw, f"share {what} along α by kind of input: {name}")


def drawing(draw: Callable[[Any], None], label: str, size: tuple[float, float] = _SIZE) -> Any:
    """An SVG to stand inside a page, as markup. draw: what paints into the axes. label: what it shows, in words.

    Raises ImportError naming the extra.
    """
    require("matplotlib", "the figures of an analysis need matplotlib", "lab")
    markup = require("markupsafe", "an HTML page needs jinja2", "lab")
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": label, "text.parse_math": False, "font.size": 8,
        "text.color": _COLOURS["muted"], "axes.labelcolor": _COLOURS["muted"], "xtick.color": _COLOURS["muted"],
        "ytick.color": _COLOURS["muted"], "axes.edgecolor": _COLOURS["line"], "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.color": _COLOURS["line"], "grid.linewidth": 0.6,
        "axes.axisbelow": True,
    }  # fmt: skip
    file = io.StringIO()
    with mpl.rc_context(settings):
        drawn = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(drawn)
        axes = drawn.add_subplot()
        draw(axes)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        drawn.savefig(file, format="svg", transparent=True, metadata=nothing)
    return markup.Markup(_for_page(file.getvalue(), label))


def _for_page(svg: str, label: str) -> str:
    """Only the drawing, without what would reach out of it: its style sheet, its names, its size and its letters."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    for name, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    said = printable(label).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    head = rf'<svg \1 class="drawn" role="img" aria-label="{said}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return re.sub(
        r'<svg[^>]*(viewBox="[^"]*")[^>]*>', lambda found: head.replace(r"\1", found[1]), svg, count=1
    ).strip()


def _layers(values: Any) -> range:
    return range(1, len(values) + 1)


def _numbers(values: Any) -> list[float]:
    """None, which stands for what is not finite, as NaN: nothing is drawn there."""
    return [float("nan") if value is None else value for value in values]


def _depth_axis(axes: Any, layers: int) -> None:
    step = max(1, layers // 8)
    axes.set_xticks(range(1, layers + 1, step))
    axes.set_xlabel("layer")
