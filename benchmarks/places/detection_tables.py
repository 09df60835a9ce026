"""The tables of a detector's places and boxes, from their raw figures."""

from __future__ import annotations

from typing import Any

from ..tables import Part, Table, percent

_SAID = {
    "right": "right", "wrong": "wrong", "animal": "on an animal", "dirt": "on dirt",
}  # fmt: skip


def detection(figures: dict[str, Any]) -> list[Part]:
    parts: list[Part] = []
    for name, found in figures["settings"].items():
        for key, how in (
            ("val", "threshold of validation frames"),
            ("own", f"threshold of {figures['given']} frames of the drive, judged on its others"),
        ):
            title = f"{name}, {how}"
            parts += [_whole(found[key], f"Frames, {title}"), _dirt(found[key]["dirt"], f"Dirt, {title}")]
        parts += [_boxes(found["boxes"], name), _missed(found["boxes"], name)]
        parts.append(f"Columns of {name}: {', '.join(found['columns'])}.")
    return parts


def _whole(found: dict[str, Any], title: str) -> Table:
    rows = [
        [f"clean, {drive}", str(row["frames"]), percent(row["flagged"] / row["frames"]), "", "", "", ""]
        for drive, row in found["clean"].items()
    ]
    rows.append(_row("with an animal", found["animals"]))
    return Table(title, ["frames", "number", "flagged", "highest place on it", "located", "mean IoU", "covers"], rows)


def _row(name: str, row: dict[str, Any]) -> list[str]:
    shares = (percent(row[key] / row["frames"]) for key in ("flagged", "peak", "located"))
    return [name, str(row["frames"]), *shares, f"{row['iou']:.2f}", percent(row["covers"])]


def _dirt(rows: list[dict[str, Any]], title: str) -> Table:
    """A row for each kind of dirt, in focus or not, and columns for each size: flagged, then located."""
    shares = sorted({row["share"] for row in rows})
    cells: dict[tuple[str, float], dict[float, dict[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["piece"], row["blur"]), {})[row["share"]] = row
    return Table(
        f"{title}: flagged / located / mean IoU",
        ["dirt", *(f"{share * 100:g} % of pixels" for share in shares)],
        [
            [
                f"{piece}{', out of focus' if blur else ''}",
                *(
                    f"{row['flagged'] / row['frames'] * 100:.0f} / {row['located'] / row['frames'] * 100:.0f}"
                    f" / {row['iou']:.2f}"
                    for row in (by_share[share] for share in shares)
                ),
            ]
            for (piece, blur), by_share in cells.items()
        ],
    )


def _boxes(figures: dict[str, Any], name: str) -> Table:
    rows = [
        [
            f"{frames}: {_SAID[of]}", str(row["boxes"]), str(row["unknown"]), percent(row["flagged"] / row["boxes"]),
            *(_auroc(row, key) for key in ("deviation", "confidence")),
            *(_auroc(row.get("covered", {}), key) for key in ("deviation", "confidence")),
        ]
        for frames, found in figures.items()
        for of, row in found["said"].items()
        if of in _SAID
    ]  # fmt: skip
    header = [
        "boxes", "number", "of classes not covered", "flagged", "AUROC of deviation", "of 1 − confidence",
        "covered classes: of deviation", "of 1 − confidence",
    ]  # fmt: skip
    return Table(f"Boxes, {name}, told from the right ones of the same frames", header, rows)


def _auroc(row: dict[str, Any], key: str) -> str:
    return f"{row[key] * 100:.1f}" if key in row else ""


def _missed(figures: dict[str, Any], name: str) -> Table:
    rows = []
    for frames, found in figures.items():
        missed = found["missed"]
        cells = []
        for kind in ("objects covered", "objects missed", "animals covered", "animals missed"):
            count = missed.get(kind, 0)
            cells.append(f"{missed.get(f'{kind}, cued', 0)} of {count}" if count else "")
        rows.append([frames, f"{missed['cues'] / missed['frames']:.2f}", *cells])
    header = ["frames", "cues a frame", "road users with a box", "without", "animals with a box", "without"]
    return Table(f"Cues to missed objects, {name}: how many of them a cue covers", header, rows)
