"""The models of one seed, trained where they are not there yet, and their scores."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from outrider.networks.testbed import (
    JAILBREAKS,
    SAFE_KINDS,
    Language,
    attack,
    make_safe,
    new_model,
    open_model,
    pretrain,
    score,
)

from .sizes import METHODS, RATES, Sizes

BASE = "base"
KINDS = ("any", "unsafe", *SAFE_KINDS, *JAILBREAKS, "alias-safe")
ATTACKED, UNATTACKED = "adversary", "before adversary"
_FIGURES = "figures.json"


def tuned_names() -> list[str]:
    """``SSFT-M`` and so on, as the folders of the tuned models are called."""
    return [f"{method}-{rate}" for method in METHODS for rate in RATES]


def of_seed(
    folder: Path, seed: int, sizes: Sizes, device: str, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, Any]:
    """Train and score the models of a seed in a folder; what is there of these sizes is taken as it is."""
    path = folder / _FIGURES
    key = json.loads(json.dumps({"sizes": asdict(sizes), "seed": seed}))
    if path.is_file():
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] == key:
            return stored
    language = Language(seed, families=sizes.families)
    models, trained = {}, {}
    for name in (BASE, *tuned_names()):
        tell = None if progress is None else _named(progress, name)
        if name == BASE:
            schedule = replace(sizes.pretraining, seed=seed)
            shape = {} if sizes.shape is None else dict(zip(("layers", "heads", "width"), sizes.shape, strict=True))
            model = new_model(seed, **shape)
            run = pretrain(language, folder / name, schedule, model=model, progress=tell, device=device)
        else:
            method, rate = name.split("-")
            schedule = replace(sizes.tuned_at(rate), seed=seed)
            run = make_safe(folder / BASE, folder / name, METHODS[method], schedule, progress=tell, device=device)
        trained[name] = {
            "sequences": schedule.steps * schedule.batch, "steps": schedule.steps, "batch": schedule.batch,
            "rate": schedule.rate, "seconds": run.seconds, "loss": sum(run.losses[-10:]) / len(run.losses[-10:]),
        }  # fmt: skip
        began = time.process_time()
        models[name] = scores(language, folder / name, sizes, device)
        trained[name]["seconds of scoring"] = time.process_time() - began
    found = {"key": key, "device": device, "models": models, "trained": trained}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found) + "\n", encoding="utf-8")
    new.replace(path)
    return found


def scores(language: Language, model: Path, sizes: Sizes, device: str, split: str = "test") -> dict[str, Any]:
    """The shares of each kind of a split, and of unsafe sequences under the adversary."""
    opened = open_model(model, device=device)
    drawn = {kind: language.draw(kind, sizes.tested, language.rng(split, i)) for i, kind in enumerate(KINDS)}
    found: dict[str, Any] = {kind: score(opened, sequences).shares() for kind, sequences in drawn.items()}
    some = drawn["unsafe"][: sizes.attacked]
    made = attack(opened, some)
    found[UNATTACKED] = score(opened, some, outputs=1).shares()
    found[ATTACKED] = score(opened, some, soft=made.soft, outputs=1).shares() | {"bound": made.bound}
    return found


def _named(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)
