"""The tables of segmentation, and of how well the segmenter sees, from their raw figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tables import Part, Table, percent


def segmentation(figures: dict[str, Any]) -> list[Part]:
    """Pixels, frames at an equal share of clean ones, and what the calibrations promise."""
    rows = figures["rows"]
    pixels = [
        [
            name,
            *(f"{row['pixels'][key] * 100:.1f}" for key in ("AUROC", "AUPR", "FPR95")),
            *(f"{row['IoU'][key]:.2f}" for key in ("animal", "feathered")),
        ]
        for name, row in rows.items()
    ]
    sets = "clean", "animal", "feathered", "control"
    frames = [[name, *(percent(row["at 10 %"][key], 0) for key in sets)] for name, row in rows.items()]
    asked = [
        [name, *(_share(row["asked"][key]) for key in ("clean", "clean, foreign", "animals"))]
        for name, row in rows.items()
    ]
    again = [
        [name, rate, *(_share(found[key]) for key in ("clean", "animals", "control"))]
        for name, row in rows.items()
        for rate, found in row.get("recalibrated", {}).items()
    ]
    network, given = figures["network"], figures["given"]
    parts: list[Part] = [
        Table(f"{network}: pixels", ["", "AUROC", "AUPR", "FPR95", "IoU", "IoU, feathered"], pixels),
        Table(
            f"{network}: {figures['frames']} frames, each method's threshold at 10 % of the clean ones",
            ["", "clean alarmed", "animals hit", "feathered hit", "control patches hit"],
            frames,
        ),
        Table(
            f"{network}: {percent(figures['asked'], 0)} asked, calibrated on frames of another drive",
            ["", "clean alarmed", f"of the {figures['foreign']} of an unseen drive", "animals hit"],
            asked,
        ),
    ]
    if again:
        title = f"{network}: recalibrated with {given} frames of the unseen drive, judged on its others"
        parts.append(Table(title, ["", "asked", "clean alarmed", "animals hit", "control patches hit"], again))
    return parts


def _share(found: dict[str, float]) -> str:
    return f"{found['count'] / found['of'] * 100:.0f} % ({found['low'] * 100:.0f}–{found['high'] * 100:.0f})"


def accuracy(figures: dict[str, Any]) -> list[Part]:
    rows = []
    for split in ("val", "test"):
        table = np.array(figures[split]["confusion"], np.float64)
        right, labelled = table.diagonal(), table.sum(axis=1)
        overlap = right / np.maximum(labelled + table.sum(axis=0) - right, 1)
        rows.append(
            [
                f"{split}, {figures[split]['frames']} frames", percent(right.sum() / table.sum()),
                percent(overlap.mean()), *(f"{share * 100:.0f}" for share in right / np.maximum(labelled, 1)),
            ]
        )  # fmt: skip
    return [Table("Pixels seen right", ["split", "pixels", "mean IoU", *figures["classes"]], rows)]
