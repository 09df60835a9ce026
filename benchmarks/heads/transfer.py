"""A threshold on prompts of another style: `python -m benchmarks.heads.transfer --prompts FOLDER`.

A guard of eight heads is searched and calibrated on one set, then judges the test prompts of every set. `told` says
whether `HeadGuard.compare` warns, given the safe prompts of the other set that its own row would be calibrated on.
After `recalibrate` on these the heads are the same and the threshold is new. XSTest's split is the first of
`benchmarks.heads.contrasts`, whose safe prompts for a threshold are fewer than 200.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from outrider.monitor import OutriderWarning, auroc
from outrider.monitor.heads import HeadGuard
from outrider.networks.transformers import Decoder

from ..results import keep
from ..tables import show
from . import tables
from .features import Measured, measured
from .focus import splits
from .model import arguments, opened
from .prompts import SETS, Split, instructions, read, vlsafe
from .scoring import EIGHT, OURS, RATE, as_features

PERMUTATIONS = 0


def pairs(decoder: Decoder, found: Measured, sets: Mapping[str, Split]) -> list[dict[str, Any]]:
    """Each set's guard on each set."""
    rows = []
    for origin, own in sets.items():
        guard = OURS[EIGHT].guard(decoder)
        guard.search(
            as_features(guard, found.of(own.unsafe)), as_features(guard, found.of(own.safe)), permutations=PERMUTATIONS
        )
        rows += [{"from": origin, "to": name} | judged(guard, found, own, other) for name, other in sets.items()]
    return rows


def judged(guard: HeadGuard, found: Measured, own: Split, other: Split) -> dict[str, Any]:
    """The guard calibrated on its own set, on the test prompts of another; then the same after `recalibrate`."""
    safe, unsafe = (as_features(guard, found.of(part)) for part in (other.test_safe, other.test_unsafe))
    theirs = as_features(guard, found.of(other.threshold))
    guard.calibrate(as_features(guard, found.of(own.threshold)), RATE)
    before = flagged(guard, unsafe, safe)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OutriderWarning)
        drift = guard.compare(theirs)
    guard.recalibrate(theirs)
    return {
        "auroc": auroc(guard.scores(safe), guard.scores(unsafe)),
        "before": before,
        "drift": drift.to_dict(),
        "warnings": [str(w.message) for w in caught if w.category is OutriderWarning],
        "after": flagged(guard, unsafe, safe),
    }


def flagged(guard: HeadGuard, unsafe: Any, safe: Any) -> dict[str, float]:
    """The shares of unsafe prompts caught and of safe ones flagged."""
    caught, alarms = (float(np.mean([v.alarm for v in guard.check(part)])) for part in (unsafe, safe))
    return {"caught": caught, "flagged": alarms}


def main() -> None:
    options = arguments(__doc__).parse_args()
    began = time.perf_counter()
    decoder = opened(options.model)
    sets = {
        SETS["advbench"]: instructions(options.prompts),
        SETS["vlsafe"]: vlsafe(options.prompts),
        "XSTest": splits(read(options.prompts, "xstest"), 1)[0],
    }
    found = measured(decoder, sorted({text for split in sets.values() for text in split.texts()}), angles=False)
    figures = {"model": decoder.name, "rows": pairs(decoder, found, sets), "seconds": time.perf_counter() - began}
    show(tables.transfer(figures))
    if options.keep:
        keep("heads-transfer", figures)


if __name__ == "__main__":
    main()
