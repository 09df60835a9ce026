"""Defences side by side: `python -m benchmarks.studies.defences.study --prompts FOLDER`.

SmolLM2-135M with each defence, and its tuned variants (SSFT, DPO, unlearning, SafeCoT; three seeds) without one and
under contextual knowledge: unsafe prompts answered against safe ones refused, and what that costs. Each cell and each
tuning lies in the cache when it is done, and is not done again. Seeds may run beside each other, each with `--seeds N`
(the base goes with seed 0), before one run over all of them gathers.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from outrider.networks import cache_folder
from outrider.networks.transformers import Decoder
from outrider.runtime.lab.evaluation import (
    DEFENCES,
    DefenceTable,
    GuardSources,
    defences_picture,
    evaluate_defences,
)

from ...heads.model import arguments, opened
from ...results import keep
from ...tables import show
from ..reasons.tuning import Setting, plain
from .claims import TUNED
from .prompts import PARTS, Material, material
from .tables import LETTERS, defences
from .tuning import Variants

NAME = "studies-defences"
TOKENS = 24
OF_TUNED = "none", "context"
OF_SSFT = *OF_TUNED, "context_unrelated"
SETTING = Setting(steps=32, batch=8, rate=1e-3, below=20)


@dataclass(frozen=True)
class Size:
    """How much is done. most: prompts of each tested set. learned: instructions of each kind that guards learn of.

    examples: that models are tuned on. batch: conversations run at once.
    """

    most: int = 30
    learned: int = 40
    examples: int = 100
    seeds: tuple[int, ...] = (0, 1, 2)
    setting: Setting = SETTING
    batch: int = 32
    base: tuple[str, ...] = tuple(DEFENCES)
    methods: tuple[str, ...] = TUNED


SIZES = {
    "default": Size(),
    "quick": Size(
        5, 12, 50, (0,), Setting(steps=8, batch=8, rate=2e-3, below=24), 20,
        ("none", "instruction", "both", "self_check_input", "context"), ("SSFT",),
    ),
    "large": Size(10_000, 200, 400, (0, 1, 2), Setting(steps=60, batch=16, rate=5e-4), 512),
}  # fmt: skip


class Study:
    """The parts of the study, each from `folder` where it was done with the same words, weights and prompts."""

    def __init__(self, size: Size, folder: Path, found: Material, base: Callable[[], Decoder], device: str) -> None:
        self.size, self.folder, self.found, self.device = size, folder, found, device
        self._open = base
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def base(self) -> Decoder:
        """The base in float32, which is tuned."""
        return self._open()

    @cached_property
    def variants(self) -> Variants:
        size = self.size
        return Variants(self.base, self.found.pools, size.examples, size.setting, self.folder / "runs", self.device)

    def table(self, seeds: Sequence[int]) -> DefenceTable:
        """All cells of these seeds. The base is with seed 0."""
        models: dict[str, Callable[[], Decoder]] = {}
        chosen: dict[str, Sequence[str]] = {}
        if 0 in seeds:
            models["base"], chosen["base"] = self._bare, self.size.base
        for seed in seeds:
            for method in self.size.methods:
                name = f"{method}, seed {seed}"
                models[name] = partial(self.variants.opened, method, seed, _told(f"{name}: tuning, step"))
                chosen[name] = OF_SSFT if method == "SSFT" else OF_TUNED
        return evaluate_defences(
            models, self.found.asked, chosen, folder=self.folder, guards=GuardSources(self.found.learning),
            tokens=TOKENS, batch=self.size.batch, progress=_told("prompts over all cells:"),
        )  # fmt: skip

    def figures(self, table: DefenceTable, seeds: Sequence[int], seconds: float) -> dict[str, Any]:
        """Everything that the tables say, in JSON types."""
        asked = self.found.asked
        return {
            "model": "SmolLM2-135M",
            "unsafe": sum(one.unsafe for one in asked),
            "safe": sum(not one.unsafe for one in asked),
            "cells": self.cells(table, seeds),
            "judge": table.judge.to_dict(),
            "tokens": TOKENS,
            "seeds": list(seeds),
            "examples": self.size.examples,
            "setting": asdict(self.size.setting),
            "seconds": seconds,
        }

    def cells(self, table: DefenceTable, seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
        """model -> defence -> judgements of each seed as letters, by kind of prompt, and means of the costs."""
        parts = self.found.pools.tested
        halves = [len(parts[next(name for name in PARTS if PARTS[name] is unsafe)]) for unsafe in (True, False)]
        found: dict[str, dict[str, Any]] = {}
        for name in ("base", *self.size.methods):
            cells: dict[str, list[Any]] = {}
            for seed in seeds if name != "base" else [None]:
                for cell in table.cells:
                    if cell.model == (name if seed is None else f"{name}, seed {seed}"):
                        cells.setdefault(cell.defence, []).append(cell)
            found[name] = {defence: _summed(several, halves) for defence, several in cells.items()}
        return found

    def _bare(self) -> Decoder:
        return Decoder(plain(copy.deepcopy(self.base.model)), self.base.processor)


def _summed(cells: Sequence[Any], halves: Sequence[int]) -> dict[str, Any]:
    if any(cell.left_out for cell in cells):
        raise ValueError("expected prompts that fit into the context, got some that were left out; take fewer")
    letters = {
        kind: ["".join(LETTERS[one.judgement] for one in cell.outcomes if one.unsafe is unsafe) for cell in cells]
        for kind, unsafe in (("unsafe", True), ("safe", False))
    }
    costs = {"prefills": "prefills", "tokens_read": "read", "tokens_written": "written"}
    means = {key: sum(cell.mean(name) for cell in cells) / len(cells) for key, name in costs.items()}
    return {**letters, **means, "halves": list(halves), "seconds": sum(cell.seconds for cell in cells)}


def _told(what: str) -> Callable[[int, int], None]:
    last = [0.0]

    def progress(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 20:
            last[0] = time.monotonic()
            print(f"{what} {done} of {total}", file=sys.stderr, flush=True)

    return progress


def main(given: Sequence[str] | None = None) -> None:
    """Measure and show."""
    parser = arguments(__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="five defences, one seed, few prompts: only to see it run")
    which.add_argument("--large", action="store_true", help="all prompts, more steps, all layers; for one GPU")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="default: 0 1 2, with --quick 0")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="where parts lie; default: in the cache")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda; default: cpu")
    options = parser.parse_args(given)
    name = "quick" if options.quick else "large" if options.large else "default"
    size: Size = SIZES[name]
    folder = options.folder or cache_folder() / "benchmarks" / "studies" / "defences"

    def base() -> Decoder:
        decoder = opened(options.model)
        decoder.model.to(options.device)
        return decoder

    study = Study(size, folder / name, material(options.prompts, size.most, size.learned), base, options.device)
    seeds = options.seeds or size.seeds
    began = time.process_time()
    table = study.table(seeds)
    spent = _spent(study.folder, time.process_time() - began)
    if 0 not in seeds:
        print(f"seeds {', '.join(map(str, seeds))} are done; the table needs seed 0, which has the base")
        return
    figures = study.figures(table, seeds, spent)
    (study.folder / "picture.png").write_bytes(defences_picture(table, lambda name: name.partition(",")[0]))
    show(defences(figures))
    print(f"picture: {study.folder / 'picture.png'}")
    if options.keep:
        keep(NAME, figures)


def _spent(folder: Path, now: float) -> float:
    """Seconds of the processor over all runs so far; a file in the folder adds them up."""
    path = folder / "seconds"
    try:
        before = float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = 0.0
    path.write_text(f"{before + now}\n", encoding="utf-8")
    return before + now


if __name__ == "__main__":
    main()
