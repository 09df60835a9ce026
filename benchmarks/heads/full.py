"""The published statistic, a head masked at all positions, on as many heads as time allows.

A search over all heads takes a second pass a head and prompt. Here it takes the heads that `last_query` finds the
farthest apart on the same search prompts, and restarts each at its own layer, which gives the same angle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from outrider.monitor.heads import FeatureStore, HeadGuard
from outrider.networks import cache_folder
from outrider.networks.transformers import Decoder

from .features import BATCH, Measured
from .prompts import Split
from .scoring import Scored, facts
from .tables import CANDIDATES


def full_row(decoder: Decoder, found: Measured, split: Split, folder: Path | None = None) -> Scored:
    """The paper's rule on the angles of `full`: the head from the search prompts, the others scored by that head.

    folder: where angles are kept, by default that of `measured`. No permutation test is made: the candidates were taken
    by the labels already, so that shuffling these among the candidates would flatter the choice.
    """
    folder = cache_folder() / "benchmarks" / "heads" if folder is None else folder
    apart = found.of(split.unsafe).angles.mean(0) - found.of(split.safe).angles.mean(0)
    heads = [divmod(int(i), decoder.heads) for i in np.argsort(-apart, kind="stable")[:CANDIDATES]]
    guard = HeadGuard(decoder, "exact", 1, rule="paper", batch=BATCH)
    report = guard.search(
        split.unsafe, split.safe, permutations=0, candidates=heads, store=_store(folder, decoder, heads)
    )
    store = _store(folder, decoder, guard.chosen)
    parts = [
        guard.measure(part, guard.chosen, store=store) for part in (split.threshold, split.test_unsafe, split.test_safe)
    ]
    return Scored(*(guard.scores(part) for part in parts), facts=facts(report))


def _store(folder: Path, decoder: Decoder, heads: Sequence[tuple[int, int]]) -> FeatureStore:
    name = "-".join(f"{layer}.{head}" for layer, head in heads)
    return FeatureStore(folder / f"full-{decoder.fingerprint[:16]}-{name}.npz")
