"""XSTest's contrasts, before and after a safety tuning: `python -m benchmarks.heads.contrasts --prompts FOLDER`.

Ten splits by focus word: no prompt of the test half shares its word with one of the half that is learned from. The
tuning (`benchmarks.heads.tuning`) sees a third of the words; columns named `other words` have the other two thirds, and
the model as it is also has a column over all words. The set has 250 safe prompts, so that no 200 are left for a
threshold: the safe prompts of the learning half that are not searched with set it, and the table says how many they
are. The published statistic runs on the first split alone, for its time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from outrider.networks.transformers import Decoder

from ..results import keep
from ..tables import show
from . import tables
from .features import measured
from .focus import splits
from .full import full_row
from .model import arguments, opened
from .prompts import Split, read
from .scoring import every_row, judged, mean
from .tuning import parts, tuned

SPLITS = 10
PERMUTATIONS = 99


def figures_of(decoder: Decoder, chosen: Sequence[Split], *, published: bool) -> dict[str, Any]:
    """The means over the splits of every row; published: with the row of `full`, on the first split."""
    measures = measured(decoder, sorted({text for split in chosen for text in split.texts()}))
    found: dict[str, list[dict[str, Any]]] = {}
    for i, split in enumerate(chosen):
        for name, scored in every_row(decoder, measures, split, PERMUTATIONS).items():
            found.setdefault(name, []).append(judged(scored))
        if published and i == 0:
            found[tables.FULL] = [judged(full_row(decoder, measures, split))]
        print(f"split {i + 1} of {len(chosen)}", file=sys.stderr, flush=True)
    return {
        "rows": {name: mean(results) | {"splits": len(results)} for name, results in found.items()},
        "sizes": [split.sizes() for split in chosen],
    }


def main() -> None:
    options = arguments(__doc__).parse_args()
    began = time.perf_counter()
    base = opened(options.model)
    every, others = splits(read(options.prompts, "xstest"), SPLITS), splits(parts(options.prompts)[1], SPLITS)
    columns = {
        "as is, all words": figures_of(base, every, published=False),
        "as is, other words": figures_of(base, others, published=True),
    }
    columns["tuned, other words"] = figures_of(tuned(base, options.prompts), others, published=True)
    figures = {"model": base.name, "columns": columns, "seconds": time.perf_counter() - began}
    show(tables.contrasts(figures))
    if options.keep:
        keep("heads-contrasts", figures)


if __name__ == "__main__":
    main()
