"""The compiled loops of the criteria, a file per question.

Names: `values` (n, neurons) float32, `labels` (n,) int64 in [0, classes), `out` (n,) float32. Where a kernel has a
second signature, `values` may be uint8, the codes of a quantised tap, and the result is that of the same numbers as
float32. Compiled when this module is imported (from numba's cache after the first time), so that nothing compiles in
a loop and a wrong dtype or stride raises TypeError at once. Labels are not checked here: `labels_within` is for that.
"""

from __future__ import annotations

from .bitmap import (
    bitmap_merge,
    bitmap_observe,
    bitmap_outside,
    bitmap_outside_codes,
    bitmap_outside_of_columns,
    bitmap_parts,
)
from .confidence import softmax_surprise
from .grids import dyadic_grid
from .histogram import histogram_merge, histogram_observe
from .patterns import nearest_distance, pack_above
from .ranges import (
    range_magnitude,
    range_observe,
    range_outside,
    range_outside_codes,
    range_outside_of_columns,
    range_parts,
)
from .ranks import rank_cost, rank_observe
from .rows import alarm_uncovered_rows, alarm_unseen_classes, first_non_finite_row, labels_within
from .sections import sections_cost, sections_cost_of_columns, sections_parts
from .whitened import whitened_distance, whitened_distance_of_columns, whitened_parts

__all__ = [
    "alarm_uncovered_rows",
    "alarm_unseen_classes",
    "bitmap_merge",
    "bitmap_observe",
    "bitmap_outside",
    "bitmap_outside_codes",
    "bitmap_outside_of_columns",
    "bitmap_parts",
    "dyadic_grid",
    "first_non_finite_row",
    "histogram_merge",
    "histogram_observe",
    "labels_within",
    "nearest_distance",
    "pack_above",
    "range_magnitude",
    "range_observe",
    "range_outside",
    "range_outside_codes",
    "range_outside_of_columns",
    "range_parts",
    "rank_cost",
    "rank_observe",
    "sections_cost",
    "sections_cost_of_columns",
    "sections_parts",
    "softmax_surprise",
    "whitened_distance",
    "whitened_distance_of_columns",
    "whitened_parts",
]
