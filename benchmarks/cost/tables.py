"""The tables of cost, from their raw figures; those of ONNX models are in `onnx_tables`."""

from __future__ import annotations

from typing import Any

from ..tables import Part, Table

GUARD_COLUMNS = (
    ("added: median", "beside bare", "median", 1),
    ("added: p99.9", "beside bare", "p99.9", 0),
    ("two bare: p99.9", "beside bare", "bare less bare: p99.9", 0),
    ("p99.9 − bare p99.9", "beside bare", "p99.9 less p99.9", 0),
    ("the same, two bare", "beside bare", "bare less bare: the same", 0),
    ("bare: spread", "beside bare", "bare: p99.9 above median", 0),
    ("own: median", "within the call", "median", 1),
    ("own: p99.9", "within the call", "p99.9", 0),
    ("test loop: spread", "within the call", "spin: p99.9 above median", 0),
)
"""Heading, keys of the raw figure, and digits behind the point."""
MAP_BAR = 1.10
"""What a map may cost, × the bare model."""


def speed(figures: dict[str, Any]) -> list[Part]:
    return [
        Table(
            "Deviation of one frame, one core",
            ["criterion", "neurons", "loops µs", "p99.9 µs", "× numpy's sum", "with checks µs", "bytes"],
            [
                [
                    row["criterion"], f"{row['neurons']:,}", f"{row['loops_us']:,.1f}", f"{row['p99_9_us']:,.1f}",
                    f"{row['times_sum']:.2f}", f"{row['whole_us']:,.1f}", f"{row['bytes']:,}",
                ]
                for row in figures["deviation"]
            ],
        ),
        *_maps(figures.get("maps", [])),
        Table(
            "ResNet-18, 224 × 224, ONNX Runtime, one thread: whole monitored inference",
            ["monitor", "median ms", "× bare"],
            [[row["monitor"], f"{row['median_ms']:.2f}", f"{row['ratio']:.3f}"] for row in figures["inference"]],
        ),
    ]  # fmt: skip


def _maps(rows: list[dict[str, Any]]) -> list[Part]:
    title = "Deviations of a map of 2,700 places × 256 channels, 12 classes, one thread"
    head = ["criterion", "each place alone ms", "as one frame ms", "×"]
    body = [[row["criterion"], f"{row['rows_ms']:.2f}", f"{row['map_ms']:.2f}", f"{row['ratio']:.3f}"] for row in rows]
    return [Table(title, head, body)] if rows else []


def modules(figures: dict[str, Any]) -> list[Part]:
    return [
        Table(
            "A frame of a PyTorch module, watched while it runs",
            ["network", "taps on", "taps", "bare µs", "added µs", "× bare", "× hooks by hand", "equal"],
            [
                [
                    row["network"], row["taps on"], str(row["taps"]), f"{row['bare us']:,.0f}",
                    f"{row['added us']:,.0f}", f"{row['times bare']:.3f}",
                    f"{row['times by hand']:.3f}" if "times by hand" in row else "",
                    "yes" if row["bit-equal"] else "no",
                ]
                for row in figures["modules"]
            ],
        ),
    ]  # fmt: skip


def memory(figures: dict[str, Any]) -> list[Part]:
    return [
        Table(
            "Profiling the small residual network, 576 channels, 10 classes",
            ["criterion", "peak MB at 5,000", "peak MB at 50,000", "growth", "signature bytes", "pass × bare forward"],
            [
                [
                    peak["criterion"], *(f"{held / 1e6:.0f}" for held in peak["peak"]), f"{peak['growth']:.3f}",
                    f"{peak['signature']:,}", f"{cost['ratio']:.2f}",
                ]
                for peak, cost in zip(figures["peak"], figures["cost"], strict=True)
            ],
        ),
    ]  # fmt: skip


def guard(figures: dict[str, Any]) -> list[Part]:
    rows = [
        [case["case"], *(_all_and_quietest(case[way][key], digits) for _, way, key, digits in GUARD_COLUMNS)]
        for case in figures["cases"]
    ]
    title = f"The guard's own time: µs over {figures['frames']:,} frames (in the quietest tenth)"
    return [
        Table(title, ["case", *(heading for heading, *_ in GUARD_COLUMNS)], rows),
        *(
            f"{case['case']}: {case['with events']['frames']:,} frames with an event or right behind one;"
            f" the guard adds {case['with events']['median']:.1f} µs to them in the median."
            for case in figures["cases"]
            if case["with events"]["frames"]
        ),
    ]


def _all_and_quietest(figure: dict[str, float], digits: int) -> str:
    return f"{figure['all']:.{digits}f} ({figure['quietest tenth']:.{digits}f})"


def reading(figures: dict[str, Any]) -> list[Part]:
    height, width = figures["size"]
    return [
        Table(
            f"Reading a frame of {width} × {height} pixels",
            ["frames", "ours ms", "OpenCV ms", "× OpenCV", "largest difference"],
            [
                [
                    row["kind"], f"{row['ours ms']:.2f}", f"{row['opencv ms']:.2f}",
                    f"{row['ratio']:.2f}{' !' * (round(row['ratio'], 2) > figures['bar'])}",
                    str(row["largest difference"]),
                ]
                for row in figures["rows"]
            ],
        ),
    ]  # fmt: skip


def places(figures: dict[str, Any]) -> list[Part]:
    """A row for each network; a `!` marks what is beyond the bar."""
    rows = [
        [
            name,
            f"{row['bare ms']:.1f}",
            str(len(row["columns"])),
            *(_beside(row["ratios"].get(way)) for way in ("bare again", "outside", "in the graph")),
            {None: "–", True: "yes", False: "no !"}[row.get("equal")],
            f"{row['map off by']:.0e}" if "map off by" in row else "–",
            "{} of {}".format(*row["agreed"]) if "agreed" in row else "–",
        ]
        for name, row in figures.items()
    ]
    header = [
        "", "bare, ms", "columns", "bare again", "map outside", "map in the graph", "equal", "map off by",
        "same verdict",
    ]  # fmt: skip
    refused = [f"{name} does not leave as ONNX: {row['refused']}" for name, row in figures.items() if "refused" in row]
    return [Table("Maps, × the bare model", header, rows), *refused]


def _beside(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}{' !' if value > MAP_BAR else ''}"
