"""The tables of attention heads, from their raw figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tables import Part, Table, percent

CANDIDATES = 8  # heads that the published statistic chooses among
FULL = f"deflection, full, paper’s rule on {CANDIDATES} heads"


def detection(figures: Mapping[str, Any]) -> list[Part]:
    """A row for each statistic and rival, a column for each set."""
    sets = figures["sets"]
    names = list(next(iter(sets.values()))["rows"])
    sizes = "; ".join(f"{name}: {_sizes(found['sizes'])}" for name, found in sets.items())
    return [
        Table(
            f"{figures['model']}, as it is: AUROC (% caught / % flagged at the threshold for 5 %)",
            ["", *sets],
            [[name, *(_cell(found["rows"][name]) for found in sets.values())] for name in names],
        ),
        f"Prompts: {sizes}.",
        *_shuffled({name: found["rows"] for name, found in sets.items()}),
        f"Refusal log-probability: of the first tokens of {_quoted(figures['refusals'])} as the answer's first.",
        f"Refusal words of HiddenDetect: {_quoted(figures['words'])}.",
    ]


def contrasts(figures: Mapping[str, Any]) -> list[Part]:
    """A row for each statistic and rival, a column for each state of the model, means over splits."""
    columns = figures["columns"]
    names = list(dict.fromkeys(name for found in columns.values() for name in found["rows"]))
    sizes = "; ".join(f"{name}: {_ranges(found['sizes'])}" for name, found in columns.items())
    return [
        Table(
            f"{figures['model']}, XSTest’s contrasts: AUROC ± spread over splits by focus word (% caught / % flagged)",
            ["", *columns],
            [[name, *(_mean_cell(found["rows"].get(name)) for found in columns.values())] for name in names],
        ),
        f"Prompts of a split: {sizes}.",
        *_shuffled({name: found["rows"] for name, found in columns.items()}),
    ]


def tuning(figures: Mapping[str, Any]) -> list[Part]:
    """Refusals before and after."""
    rates = figures["rates"]
    return [
        Table(
            f"Refused by the model itself, before and after {figures['steps']} steps of {figures['batch']} prompts"
            f" (LoRA, rank {figures['rank']})",
            ["held-out prompts", "n", "unsafe, before", "safe, before", "unsafe, after", "safe, after"],
            [
                [
                    name,
                    f"{found['prompts']:,}",
                    *(
                        percent(rates[when][name][kind], 0)
                        for when in ("before", "after")
                        for kind in ("unsafe", "safe")
                    ),
                ]
                for name, found in rates["before"].items()
            ],
        )
    ]


def transfer(figures: Mapping[str, Any]) -> list[Part]:
    """A row for each pair of sets; then what the guard says where it warns."""
    rows = figures["rows"]
    header = ["calibrated on", "judged on", "AUROC", "% caught / % flagged", "told", "after recalibrate"]
    return [
        Table(
            f"{figures['model']}, read-out LDA of 8 heads: thresholds on prompts of another style",
            header,
            [
                [
                    row["from"], row["to"], f"{row['auroc']:.3f}", _shares(row["before"]),
                    "warns" if row["warnings"] else "no", _shares(row["after"]),
                ]
                for row in rows
            ],
        ),
        *(
            f"{row['from']} to {row['to']}: {row['drift']['share'] * 100:.0f} % of {row['drift']['n']} safe prompts"
            f" flagged, scores off by {row['drift']['score_shift']:+.2f} in the median, tokens by"
            f" {row['drift']['length_shift']:+.0f}."
            for row in rows
            if row["warnings"]
        ),
    ]  # fmt: skip


def cost(figures: Mapping[str, Any]) -> list[Part]:
    """Ratios, paired in one process, at each length of prompt; then the answers that were compared."""
    lengths = figures["lengths"]
    names = list(next(iter(lengths.values()))["ratios"])
    equal = figures["equal"]
    return [
        Table(
            f"{figures['model']}, one thread: medians of paired ratios",
            ["", *(f"{tokens} tokens" for tokens in lengths), "asked for"],
            [
                [
                    name,
                    *(_ratio(found["ratios"].get(name)) for found in lengths.values()),
                    figures["bars"].get(name, "–"),
                ]
                for name in names
            ],
        ),
        "A prefill takes "
        + ", ".join(f"{found['prefill'] * 1000:.0f} ms at {tokens} tokens" for tokens, found in lengths.items())
        + ".",
        *(
            f"{name}: {found['equal']} of {found['unflagged']} unflagged answers are those of the bare model, token"
            f" for token over {figures['answer']} tokens. {found['flagged']} of {found['prompts']} harmless prompts"
            " were flagged."
            for name, found in equal.items()
        ),
    ]


def exported(figures: Mapping[str, Any]) -> list[Part]:
    """A row for PyTorch and each precision of ONNX: how far scores move, and what either threshold makes of them."""
    header = [
        "", "safe scores off by", "unsafe scores off by", "largest", "AUROC",
        "% caught / % flagged, PyTorch’s threshold", "its own threshold",
    ]  # fmt: skip
    return [
        Table(
            f"{figures['model']}, read-out LDA of 8 heads inside exported decoders",
            header,
            [
                [
                    name, f"{found['shift_safe']:+.3f}", f"{found['shift_unsafe']:+.3f}", f"{found['largest']:.1e}",
                    f"{found['auroc']:.3f}", *(
                        f"{found[f'caught_{when}'] * 100:.0f} / {found[f'flagged_{when}'] * 100:.0f}"
                        for when in ("before", "after")
                    ),
                ]
                for name, found in figures["rows"].items()
            ],
        )
    ]  # fmt: skip


def _shares(found: Mapping[str, float]) -> str:
    return f"{found['caught'] * 100:.0f} / {found['flagged'] * 100:.0f}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    return f"{row['auroc']:.3f} ({row['caught'] * 100:.0f} / {row['flagged'] * 100:.0f})"


def _mean_cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    spread = f" ± {row['spread']:.3f}" if row["splits"] > 1 else ", one split"
    return f"{row['auroc']:.3f}{spread} ({row['caught'] * 100:.0f} / {row['flagged'] * 100:.0f})"


def _shuffled(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences on the permutation tests."""
    found = []
    for column, rows in columns.items():
        said = []
        for name, row in rows.items():
            if name == FULL:
                continue  # its candidates were taken by the labels: a figure that was kept would flatter
            p_values = row.get("p_values") or [p for p in [row.get("p_value")] if p is not None]
            if p_values:
                few = sum(p <= 0.05 for p in p_values)
                several = f"p ≤ 0.05 in {few} of {len(p_values)} splits, largest {max(p_values):.3f}"
                said.append(f"{name}: {several if len(p_values) > 1 else f'p = {p_values[0]:.3f}'}")
        if said:
            found.append(f"Choice of heads against shuffled labels, {column}. {'. '.join(said)}.")
    return found


def _sizes(sizes: Mapping[str, int]) -> str:
    return (
        f"{sizes['unsafe']} unsafe and {sizes['safe']} safe searched with, {sizes['threshold']} safe for the threshold,"
        f" {sizes['test_unsafe']} and {sizes['test_safe']} tested"
    )


def _ranges(sizes: Sequence[Mapping[str, int]]) -> str:
    def span(name: str) -> str:
        found = sorted(size[name] for size in sizes)
        return f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"

    return (
        f"{span('unsafe')} unsafe and {span('safe')} safe searched with, {span('threshold')} safe for the threshold,"
        f" {span('test_unsafe')} and {span('test_safe')} tested"
    )


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"“{word}”" for word in words)
