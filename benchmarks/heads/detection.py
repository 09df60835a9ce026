"""Unsafe against safe prompts: `python -m benchmarks.heads.detection --prompts FOLDER`.

SmolLM2-135M-Instruct as it is, on AdvBench with Alpaca and on VLSafe with LLaVA's questions: the statistics of heads
beside rivals that need a single pass. Heads and rivals learn from 50 unsafe and 50 safe prompts; thresholds come from
200 other safe ones, at 5 %; 100 of each kind are the test. What the model computes of a prompt is kept in the user's
cache folder, so that a second run takes a minute.
"""

from __future__ import annotations

import time
from typing import Any

from outrider.networks.transformers import Decoder

from ..results import keep
from ..tables import show
from . import tables
from .features import REFUSAL_WORDS, REFUSALS, measured
from .model import arguments, opened
from .prompts import SETS, Split, instructions, vlsafe
from .scoring import every_row, judged

PERMUTATIONS = 199


def figures_of(decoder: Decoder, split: Split) -> dict[str, Any]:
    """Every row on a split."""
    found = measured(decoder, split.texts())
    rows = {name: judged(scored) for name, scored in every_row(decoder, found, split, PERMUTATIONS).items()}
    return {"sizes": split.sizes(), "rows": rows}


def main() -> None:
    options = arguments(__doc__).parse_args()
    began = time.perf_counter()
    decoder = opened(options.model)
    sets = {"advbench": instructions(options.prompts), "vlsafe": vlsafe(options.prompts)}
    figures = {
        "model": decoder.name,
        "refusals": REFUSALS,
        "words": REFUSAL_WORDS,
        "sets": {SETS[name]: figures_of(decoder, split) for name, split in sets.items()},
        "seconds": time.perf_counter() - began,
    }
    show(tables.detection(figures))
    if options.keep:
        keep("heads-detection", figures)


if __name__ == "__main__":
    main()
