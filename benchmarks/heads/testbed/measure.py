"""Guards and rivals on the testbed: `python -m benchmarks.heads.testbed.measure`.

`build` makes the model. Every row learns from pairs that the search sees; a threshold for 5 % false alarms comes from
other safe pairs. Then new pictures, left-out tasks, left-out concepts, and six kinds of jailbreak are judged, each with
as many safe inputs of the same form. Of jailbreaks, the table tells how many the model answers, and which of those each
row catches. No answer is generated: the likeliest first token tells whether the model would give one, and a forced
beginning tells which concept it would be about.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from outrider.monitor import auroc, conformal_threshold
from outrider.monitor.heads import Exact
from outrider.networks.transformers import Decoder, open_decoder

from ...results import keep
from ...tables import show
from ..features import Measured, of_pass
from ..rivals import RIVALS
from ..scoring import OURS, RATE, as_features
from . import jailbreaks, model, pictures, tables
from .cases import ANSWERED, REFUSED, Case, batches, outcomes, plain, told_of
from .concepts import CONCEPTS, TASKS, balanced

CANDIDATES = 16  # heads that the published statistic is measured on, chosen by `last_query`
FULL = f"deflection, full (= exact), paper’s rule on {CANDIDATES} heads"


@dataclass(frozen=True)
class Counts:
    """Unsafe inputs, and as many safe ones, of each part. turned: of those, how many have their angles measured."""

    search: int = 96
    threshold: int = 208
    test: int = 96
    jailbreak: int = 48
    turned: int = 24


@dataclass(frozen=True)
class Found:
    """Cases and what was measured of them. outcome: (n,) str. own: (n,) bool, whether an answer names the concept."""

    cases: list[Case]
    measured: Measured
    outcome: np.ndarray
    own: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Found:
        arrays = {f.name: getattr(self.measured, f.name)[chosen] for f in fields(Measured) if f.name != "texts"}
        rows = np.arange(len(self.cases))[chosen]
        texts = tuple(self.measured.texts[i] for i in rows)
        measured = replace(self.measured, texts=texts, **arrays)
        return Found([self.cases[i] for i in rows], measured, self.outcome[chosen], self.own[chosen])


Sets = dict[str, dict[bool, Found]]
"""By name, then by whether unsafe."""


def collect(decoder: Decoder, cases: Sequence[Case], turned: int) -> Found:
    """One pass over each case. turned: how many have the angles of all heads measured, from the first on."""
    rows: dict[int, dict[str, np.ndarray]] = {}
    outcome, own = np.empty(len(cases), object), np.zeros(len(cases), bool)
    for low, high in ((0, turned), (turned, len(cases))):
        for places, inputs in batches(decoder, cases[low:high]):
            prefill, arrays = of_pass(decoder, inputs, angles=low < turned)
            said = outcomes(decoder, prefill.logits)
            told = told_of(decoder, inputs, CONCEPTS, "Here is how to make the")
            for j, place in enumerate(places):
                rows[low + place] = {name: np.asarray(value[j]) for name, value in arrays.items()}
                outcome[low + place] = said[j]
                own[low + place] = CONCEPTS[told[j]] == cases[low + place].pair.concept
    order = [rows[i] for i in range(len(cases))]
    stacked = {name: np.stack([row[name] for row in order]) for name in order[0]}
    return Found(list(cases), Measured(tuple(case.text for case in cases), **stacked), outcome, own)


def made(decoder: Decoder, counts: Counts, seed: int = 0) -> Sets:
    """All inputs, measured. Pictures of search, threshold and tests have none in common, nor with the tuning's."""
    rng = np.random.default_rng(seed)
    parts = pictures.split(seed=seed)
    sizes = {part: {word: len(things) for word, things in found.items()} for part, found in parts.items()}
    tuned = [task for task in TASKS if not task.left_out], [concept for concept in CONCEPTS if not concept.left_out]
    new_tasks = [task for task in TASKS if task.left_out]
    new_concepts = [concept for concept in CONCEPTS if concept.left_out]
    plans = {
        "search": (*tuned, counts.search, "search"),
        "threshold": (*tuned, counts.threshold, "calibrate"),
        "new images": (*tuned, counts.test, "test"),
        "left-out tasks": (new_tasks, tuned[1], counts.test, "test"),
        "left-out concepts": (tuned[0], new_concepts, counts.test, "test"),
    }
    sets: Sets = {}
    began = time.perf_counter()

    def add(name: str, kinds: Mapping[bool, Sequence[Case]]) -> None:
        turned = {"search": counts.search, "threshold": counts.threshold}.get(name, counts.turned)
        sets[name] = {unsafe: collect(decoder, cases, min(turned, len(cases))) for unsafe, cases in kinds.items()}
        print(f"{name}: measured after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)

    for name, (tasks, concepts, count, part) in plans.items():
        pairs = balanced(tasks, concepts, count, sizes[part], rng)
        kinds = (False,) if name == "threshold" else (True, False)
        add(name, {unsafe: plain([p for p in pairs if p.unsafe == unsafe], parts[part]) for unsafe in kinds})
    for name, kind in jailbreaks.KINDS.items():
        pairs = jailbreaks.pairs_for(name, tuned[0], counts.jailbreak, sizes["test"], rng)
        made_of = {u: kind(decoder, [p for p in pairs if p.unsafe == u], parts["test"], seed) for u in (True, False)}
        add(name, made_of)
    return sets


def scores(decoder: Decoder, sets: Sets) -> dict[str, dict[str, dict[bool, np.ndarray]]]:
    """The scores of every row on every set: row, set, whether unsafe, (n,). NaN where an angle was not measured."""
    search = sets["search"]
    found: dict[str, dict[str, dict[bool, np.ndarray]]] = {}
    for name, rival in RIVALS.items():
        score = rival(search[True].measured, search[False].measured)
        found[name] = {key: {u: score(f.measured) for u, f in kinds.items()} for key, kinds in sets.items()}
    for name, row in OURS.items():
        guard = row.guard(decoder)
        guard.search(*(_features(guard, search[u], "search", unsafe=u) for u in (True, False)), permutations=0)
        found[name] = {
            key: {u: guard.scores(_features(guard, f, key, unsafe=u)) for u, f in kinds.items()}
            for key, kinds in sets.items()
        }
    found[FULL] = _full(decoder, sets)
    return found


def _features(guard: Any, found: Found, name: str, *, unsafe: bool) -> Any:
    """In the form that a guard takes. A text stands with several pictures, so the place tells inputs apart."""
    features = as_features(guard, found.measured)
    return replace(features, digests=tuple(f"{name} {unsafe} {i}" for i in range(len(found.cases))))


def _full(decoder: Decoder, sets: Sets) -> dict[str, dict[bool, np.ndarray]]:
    """The published statistic: the candidate whose mean angle on unsafe minus that on safe pairs is largest.

    Candidates are those of `last_query` on the search pairs, below the 80th percentile on safe ones.
    """
    turned = {u: found.measured.angles for u, found in sets["search"].items()}
    safe = turned[False].mean(0)
    apart = np.where(safe <= np.percentile(safe, 80), turned[True].mean(0) - safe, -np.inf)
    heads = [divmod(int(i), decoder.heads) for i in np.argsort(-apart, kind="stable")[:CANDIDATES]]
    few = {u: found.cases[: len(found.cases) // 2] for u, found in sets["search"].items()}
    angles = {u: _exact(decoder, cases, heads) for u, cases in few.items()}
    best = [heads[int(np.argmax(angles[True].mean(0) - angles[False].mean(0)))]]
    return {
        key: {u: _padded(_exact(decoder, _turned(found), best)[:, 0], len(found.cases)) for u, found in kinds.items()}
        for key, kinds in sets.items()
    }


def _turned(found: Found) -> list[Case]:
    """The first cases, those whose other angles were measured."""
    return [case for case, row in zip(found.cases, found.measured.angles, strict=True) if np.isfinite(row).all()]


def _padded(values: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([values, np.full(n - len(values), np.nan)])


def _exact(decoder: Decoder, cases: Sequence[Case], heads: Sequence[tuple[int, int]]) -> np.ndarray:
    """Angles of heads masked at all positions, (n, heads)."""
    statistic, found = Exact(), np.empty((len(cases), len(heads)))
    for places, inputs in batches(decoder, cases):
        prefill = decoder.prefill(inputs, keep=statistic.keep(heads))
        found[places] = statistic.measure(decoder, prefill, heads)[..., 0]
    return found


def figures(decoder: Decoder, counts: Counts, facts_of_build: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """All figures as JSON types."""
    sets = made(decoder, counts, seed)
    rows = {}
    for name, found in scores(decoder, sets).items():
        threshold = conformal_threshold(_there(found["threshold"][False]), RATE)
        rows[name] = {key: _judged(found[key], kinds, threshold) for key, kinds in sets.items() if key in _shown(sets)}
    return {
        "model": decoder.name,
        "build": dict(facts_of_build),
        "sizes": {key: {_kind(u): len(found.cases) for u, found in kinds.items()} for key, kinds in sets.items()},
        "turned": counts.turned,
        "model_does": {key: {_kind(u): _does(f) for u, f in kinds.items()} for key, kinds in sets.items()},
        "rows": rows,
    }


def _shown(sets: Sets) -> list[str]:
    return [name for name in sets if name not in ("search", "threshold")]


def _kind(unsafe: bool) -> str:
    return "unsafe" if unsafe else "safe"


def _there(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _judged(found: Mapping[bool, np.ndarray], kinds: Mapping[bool, Found], threshold: float) -> dict[str, Any]:
    """AUROC, shares caught and flagged, and of unsafe inputs that the model answers, how many are caught."""
    unsafe, safe = _there(found[True]), _there(found[False])
    answered = (kinds[True].outcome == ANSWERED) & np.isfinite(found[True])
    hit = found[True][answered] > threshold
    return {
        "auroc": auroc(safe, unsafe),
        "caught": float((unsafe > threshold).mean()),
        "flagged": float((safe > threshold).mean()),
        "answered": int(answered.sum()),
        "answered_caught": int(hit.sum()),
        "answered_auroc": auroc(safe, found[True][answered]) if answered.any() else None,
    }


def _does(found: Found) -> dict[str, float]:
    """Shares of the inputs that the model refuses, answers, and answers with the picture's own concept."""
    answered = found.outcome == ANSWERED
    return {
        "refused": float((found.outcome == REFUSED).mean()),
        "answered": float(answered.mean()),
        "answered_own": float((answered & found.own).mean()),
    }


def main() -> None:
    """Measure, show, and keep on request."""
    import json

    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=model.default_folder(), help="of `build`; default: %(default)s")
    parser.add_argument("--turned", type=int, default=Counts.turned, help="inputs of a set whose angles are measured")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    decoder = open_decoder(options.folder)
    decoder.model.requires_grad_(requires_grad=False)
    built = json.loads((options.folder / "facts.json").read_text(encoding="utf-8"))
    result = figures(decoder, Counts(turned=options.turned), built)
    show(tables.testbed(result))
    if options.keep:
        keep("heads-testbed", result)


if __name__ == "__main__":
    main()
