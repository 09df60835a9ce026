"""The tables of reliability, from their raw figures."""

from __future__ import annotations

from typing import Any

from ..tables import Part, Table, percent


def parity(figures: dict[str, Any]) -> list[Part]:
    return [
        Table(
            "Parity of PyTorch, ONNX and the monitor in the graph",
            [
                "network", "criterion", "verdicts", "alarms", "graph: score off by", "graph: verdicts differ",
                "PyTorch: score off by", "PyTorch: verdicts differ", "these within of the threshold",
            ],
            [
                [
                    name, criterion, str(row["verdicts"]), str(row["alarms"]), f"{row['inside_score']:.1e}",
                    str(row["inside_verdicts"]), f"{row['torch_score']:.1e}", str(row["torch_verdicts"]),
                    f"{row['torch_band']:.1e}",
                ]
                for name, by_criterion in figures.items()
                for criterion, row in by_criterion.items()
            ],
        )
    ]  # fmt: skip


def watched(figures: dict[str, Any]) -> list[Part]:
    rows = figures["networks"]
    kinds = sorted({kind for row in rows for kind in row["kinds"]})
    warnings = sorted({one for row in rows for one in row["warnings"]})
    return [
        Table(
            "Classifiers of torchvision and of the zoo, watched while they run",
            ["networks", "output bit-equal", "module unchanged", "taps", "kinds", "opened in at most", "warnings"],
            [
                [
                    str(len(rows)), str(sum(row["bit-equal"] for row in rows)),
                    str(sum(row["unchanged"] for row in rows)),
                    f"{min(row['taps'] for row in rows)} to {max(row['taps'] for row in rows)}", ", ".join(kinds),
                    f"{max(row['seconds'] for row in rows):.0f} s", "; ".join(warnings) or "none",
                ]
            ],
        ),
        *([f"Left out for their size: {', '.join(figures['left out'])}."] if figures["left out"] else []),
    ]  # fmt: skip


def soak(figures: dict[str, Any]) -> list[Part]:
    memory, minutes = figures["rss_bytes"], figures["frames"] / 30 / 60
    statuses = ", ".join(f"{number:,} {status}" for status, number in figures["statuses"].items())
    return [
        Table(
            f"{figures['frames']:,} frames, {minutes:.0f} minutes at 30 fps, guarded in {figures['seconds']:.0f} s",
            [
                "MB after a tenth", "MB at the end", "growth at most", "open files", "threads", "events counted",
                "events in the log", "dropped",
            ],
            [
                [
                    f"{memory[0] / 1e6:.1f}", f"{memory[-1] / 1e6:.1f}", percent(figures["growth"], 2),
                    *(_span(figures[key]) for key in ("descriptors", "threads")),
                    *(f"{figures[key]:,}" for key in ("events_expected", "events_written", "dropped")),
                ]
            ],
        ),
        f"Statuses of the frames: {statuses}.",
    ]  # fmt: skip


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def fuzz(figures: dict[str, Any]) -> list[Part]:
    rows = [
        [
            name, f"{row['cases']:,}", *(f"{row['outcomes'].get(one, 0):,}" for one in ("refused", "read")),
            ", ".join(f"{n:,} {one}" for one, n in sorted(row["outcomes"].items()) if one not in ("refused", "read"))
            or "none", str(row["wrong"]), f"{row['cases'] / row['seconds']:,.0f}", f"{row['slowest'] * 1e3:,.0f} ms",
            " to ".join(f"{size / 1e6:,.0f}" for size in row["memory"]),
        ]
        for name, row in figures.items()
    ]  # fmt: skip
    examples = [f"{name}, case {one}" for name, row in figures.items() for one in row["examples"]]
    return [
        Table(
            "Changed files, read",
            [
                "what",
                "cases",
                "refused",
                "read",
                "others",
                "wrong",
                "cases/s",
                "slowest",
                "MB, a tenth to the end",
            ],
            rows,
        ),
        *(["What went wrong:", *examples] if examples else []),
    ]


def videos(figures: dict[str, Any]) -> list[Part]:
    total = f"{figures['trials']} damaged copies of {figures['frames']} frames, a key frame in {figures['group']}"
    return [
        Table(
            f"{total}: frames that are right, faults, and wrong frames that pass",
            ["codec", "damage", "right", "faults", "wrong, passed", "passed of wrong or fault"],
            [
                [
                    row["codec"], row["damage"], f"{row['right']:,}", f"{row['faults']:,}", f"{row['passed']:,}",
                    f"{row['passed'] / max(1, row['passed'] + row['faults']):.0%}",
                ]
                for row in figures["rows"]
            ],
        ),
    ]  # fmt: skip
