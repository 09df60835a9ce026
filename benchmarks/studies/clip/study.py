"""SafeR-CLIP on sketches: `python -m benchmarks.studies.clip.study`.

A small CLIP learns QuickDraw's sketches with captions, once for each seed. Each of these bases is tuned to redirect
weapons and the like: by SafeR-CLIP to the nearest safe caption, with several weights and with and without curriculum;
to one fixed target instead; by Safe-CLIP to fixed partners; and not at all, preserving alone. All is measured on
pictures that nothing was trained on or chosen by. Each part lies in the cache when it is done, and is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from outrider.networks import cache_folder
from outrider.networks.tuning import Schedule
from outrider.networks.tuning.clip import Clip, ClipPlan, open_clip, tune_clip

from ...results import keep
from ...tables import show
from . import tables
from .base import Shape, trained
from .concepts import choose
from .measure import VERSION, View, figures, look
from .sketches import Sketches, read

SWEPT = 0.1, 0.3, 1.0, 3.0  # weights of redirection, against one of preservation
MEASURED = "choose", "test"
LEARNING = Schedule(2500, 64, 1e-3, 0.05, weight_decay=0.05, betas=(0.9, 0.98), save_every=500)
TUNING = Schedule(80, 48, 1e-3, 0.1, weight_decay=0.0, save_every=1000)


@dataclass(frozen=True)
class Size:
    """How much is done. safe: classes. base, tuning: the schedules, whose seeds are set by base and by tuning."""

    safe: int = 108
    seeds: tuple[int, ...] = (0, 1, 2)
    again: int = 2  # tunings of each kind and base, with other pairs and another order
    swept: tuple[float, ...] = SWEPT
    shape: Shape = field(default_factory=Shape)
    base: Schedule = LEARNING
    tuning: Schedule = TUNING


SIZES = {
    "default": Size(),
    "quick": Size(
        28,
        (0,),
        1,
        (0.3, 1.0),
        base=replace(LEARNING, steps=600),
        tuning=replace(TUNING, steps=30),
    ),
    "large": Size(
        333,
        (0, 1, 2, 3, 4),
        1,
        shape=Shape(128, 6),
        base=replace(LEARNING, steps=1500, batch=512, save_every=2000),
        tuning=replace(TUNING, steps=120),
    ),
}


def plans(size: Size, fixed: str) -> dict[str, ClipPlan]:
    """What is done to each base, by its name. fixed: the caption that rigid redirection goes to."""
    found = {"preservation alone": ClipPlan(redirect=0, curriculum="none")}
    for weight in size.swept:
        found[f"rigid {weight:g}"] = ClipPlan(target="fixed", caption=fixed, redirect=weight)
        found[f"nearest {weight:g}"] = ClipPlan(redirect=weight)
    found["nearest 1, no curriculum"] = ClipPlan(curriculum="none")
    found["nearest 1, curriculum by target"] = ClipPlan(curriculum="target")
    found["partner 1"] = ClipPlan(target="partner")
    found["Safe-CLIP"] = ClipPlan("safe-clip", "partner", curriculum="none")
    return found


def study(name: str, size: Size, folder: Path, device: str, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of all bases, as JSON types."""
    sketches = read(choose(size.safe))
    bases = []
    for seed in size.seeds:
        home = folder / name / f"base-{seed}"
        bases.append(one_base(size, seed, sketches, home, device, say))
    return {
        "size": name,
        "classes": {"safe": size.safe, "unsafe": sketches.classes.unsafe, "held_out": sketches.classes.held_out},
        "schedules": {"base": [size.base.steps, size.base.batch], "tuning": [size.tuning.steps, size.tuning.batch]},
        "swept": list(size.swept),
        "bases": bases,
    }


def one_base(
    size: Size, seed: int, sketches: Sketches, home: Path, device: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Train a base and tune it in all ways. What is measured lies in `home` as JSON, a file for each tuning."""
    home.mkdir(parents=True, exist_ok=True)
    schedule = replace(size.base, seed=seed)
    base = trained(sketches, size.shape, schedule, home, device, _told(f"base {seed}", say))
    before = {part: look(base, sketches, part) for part in MEASURED}
    found = {part: figures(view, view, sketches.classes) for part, view in before.items()}
    tunings: dict[str, list[Any]] = {}
    for again in range(size.again):
        drawn = 1000 * seed + again
        fixed = f"a drawing of a {np.random.default_rng(drawn).choice(sketches.classes.inside)}"
        for name, plan in plans(size, fixed).items():
            tuning = replace(size.tuning, seed=drawn)
            told = [VERSION, *map(asdict, (plan, tuning, schedule, size.shape))]
            settings = json.loads(json.dumps(told))
            path = home / f"{name.replace(' ', '-').replace(',', '')}-{again}.json"
            facts = _kept(path, settings)
            if facts is None:
                began = time.monotonic()
                facts = _tuned(plan, tuning, sketches, home, device, before)
                new = path.with_suffix(".new")
                new.write_text(json.dumps({"settings": settings, "figures": facts}), encoding="utf-8")
                new.replace(path)
                say(f"base {seed}, {name}, {again}: {time.monotonic() - began:.0f} s")
            tunings.setdefault(name, []).append(facts)
    return {"seed": seed, "before": found, "tunings": tunings}


def _kept(path: Path, settings: list[Any]) -> dict[str, Any] | None:
    """The figures of a tuning that was done before; None for one that was not, or with other settings."""
    if not path.is_file():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    return stored["figures"] if stored.get("settings") == settings else None


def _tuned(
    plan: ClipPlan, schedule: Schedule, sketches: Sketches, home: Path, device: str, before: dict[str, View]
) -> dict[str, Any]:
    """Tune a fresh copy of the base; its figures, and where each unsafe class went."""
    pixels, _ = sketches.pixels("train")
    clip: Clip = open_clip(home / "base", device=device)
    with TemporaryDirectory(dir=home) as scratch:
        result = tune_clip(
            clip, sketches.quadruples(schedule.seed), schedule, Path(scratch) / "run", plan,
            picture=lambda row: pixels[int(row)], device=device,
        )  # fmt: skip
        after = {part: figures(look(result.clip, sketches, part), before[part], sketches.classes) for part in MEASURED}
    taken = [[one.unsafe, one.safe, one.cosine, one.times] for one in result.redirected]
    return {
        **after, "taken": taken if plan.target == "nearest" else [], "caption": plan.caption,
        "losses": [result.trained.losses[0], result.trained.losses[-1]], "seconds": result.trained.seconds,
    }  # fmt: skip


def _told(what: str, say: Callable[[str], None]) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done and done % 250 == 0:
            say(f"{what}: {done} of {total} steps")

    return progress


def main() -> int:
    """Run what is asked for and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one base of few classes, few steps: a glance, no result")
    size.add_argument("--large", action="store_true", help="all classes, five bases: for a GPU")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="the bases; default: 0 1 2, of one size")
    parser.add_argument(
        "--folder", type=Path, default=cache_folder() / "benchmarks" / "studies" / "clip", help="default: %(default)s"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args()
    name = "quick" if options.quick else "large" if options.large else "default"
    size_of = SIZES[name]
    if options.seeds:
        size_of = replace(size_of, seeds=tuple(options.seeds))
    found = study(name, size_of, options.folder, options.device, lambda text: print(text, file=sys.stderr, flush=True))
    show(tables.clip(found))
    if options.keep:
        keep("studies-clip", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
