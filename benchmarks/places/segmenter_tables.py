"""The table of how well the segmenter sees, from its raw figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tables import Part, Table, percent


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
