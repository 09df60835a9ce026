"""The tables of the ONNX models, from their raw figures, and the bars that they are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tables import Part, Table

FILE_BAR = 1.05
Row = Mapping[str, Any]


def works(row: Row) -> bool:
    """Whether every stage went through, outputs equal and verdicts agreed."""
    return not row["errors"]


def by_error(row: Row) -> dict[str, str]:
    """Each error of a row with the stages that it ended, in words."""
    errors: dict[str, list[str]] = {}
    for stage, error in row["errors"].items():
        errors.setdefault(error, []).append(stage)
    return {error: "; ".join(stages) for error, stages in errors.items()}


def bar(row: Row, name: str) -> float | None:
    """The bar for a ratio of the row."""
    if name.startswith("outside"):
        return 1.10 if row["dtype"].startswith("int8") else 1.06
    if name == "in the graph, default":
        return 1.06
    if name.startswith("in the graph"):
        return 1.03 if row["model"].startswith("resnet18") and row["dtype"] == "float32" else 1.05
    return None


def onnx(figures: dict[str, Any]) -> list[Part]:
    """Whether each model works, what went wrong, what the monitor costs, and which versions were used."""
    rows = sorted(figures["rows"], key=lambda row: row["model"])
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    return [*working(rows), *(costs(rows) if any("ratios" in row for row in rows) else ()), f"Versions: {versions}."]


def working(rows: Sequence[Row]) -> list[Part]:
    failed = [row["model"] for row in rows if row["errors"]]
    numbers = {model: i for i, model in enumerate(failed, 1)}
    table = Table(
        "ONNX models: does it work",
        ["model", "exporter", "opset", "computes in", "taps", "neurons", "works", "equal outside", "equal in the graph",
         "same verdict", "peak MB"],
        [
            [
                row["model"], row["exporter"], _text(row.get("opset")), row["dtype"], _text(row.get("taps")),
                _text(row.get("neurons")), _works(row, numbers.get(row["model"])),
                _text(row.get("outside_equal")), _all(row.get("inside_equal")), _agreed(row.get("agreed")),
                _text(row.get("peak_mb")),
            ]
            for row in rows
        ],
    )  # fmt: skip
    errors = [
        f"[{numbers[row['model']]}] {row['model']}, {stages}: {error}"
        for row in rows
        for error, stages in by_error(row).items()
    ]
    return [table, *errors]


def costs(rows: Sequence[Row]) -> list[Part]:
    timed = [row for row in rows if "ratios" in row]
    names = list(dict.fromkeys(name for row in timed for name in row["ratios"]))
    names.sort(key=lambda name: (name.startswith("outside"), name.startswith("in the graph")))
    table = Table(
        "ONNX models: what it costs, × the bare session",
        ["model", "taps", "bare ms", *(_heading(name, names) for name in names), "guarded file"],
        [
            [
                row["model"], _text(row["taps"]), f"{row['bare_ms']:.2f}",
                *(_marked(row["ratios"].get(name), bar(row, name)) for name in names),
                _marked(max(row.get("size_ratio", {}).values(), default=None), FILE_BAR),
            ]
            for row in timed
        ],
    )  # fmt: skip
    parts: list[Part] = [table]
    texts = list(dict.fromkeys(text for row in timed for text in row.get("class_free", ())))
    for text in texts:
        models = ", ".join(row["model"] for row in timed if text in row.get("class_free", ()))
        parts.append(f"One signature for all classes together, because of its size, with {text} on: {models}.")
    judged = [
        value <= limit
        for row in timed
        for name, value in row["ratios"].items()
        if (limit := bar(row, name)) is not None
    ]
    return [*parts, f"{sum(judged)} of {len(judged)} ratios are within their bars."]


def _heading(name: str, names: Sequence[str]) -> str:
    """`in the graph, multi_range(...)` as `in the graph: multi_range`, where that tells it from the others."""
    place, _, text = name.partition(", ")
    if not text:
        return name
    short = text.partition("(")[0]
    alike = sum(other.partition("(")[0] == f"{place}, {short}" for other in names)
    return f"{place}: {short if alike == 1 else text}"


def _works(row: Row, number: int | None) -> str:
    if works(row):
        return "yes"
    return f"not made [{number}]" if "make" in row["errors"] else f"no [{number}]"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _marked(value: float | None, limit: float | None) -> str:
    return "–" if value is None else f"{value:.3f}{'!' if limit is not None and value > limit else ''}"


def _all(values: Mapping[str, bool] | None) -> str:
    return _text(all(values.values()) if values else None)


def _agreed(values: Mapping[str, Sequence[int]] | None) -> str:
    if not values:
        return "–"
    agreed, judged = (sum(pair[i] for pair in values.values()) for i in (0, 1))
    return f"{agreed} of {judged}"
