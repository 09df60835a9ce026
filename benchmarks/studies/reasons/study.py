"""Reasons before refusals as supervision: `python -m benchmarks.studies.reasons.study --prompts FOLDER`.

SmolLM2-135M is tuned on 50, 200 and 800 examples, by reasons with a refusal (SafeCoT) or by the refusal alone, with the
same prompts, steps and rate, three seeds each. Measured are refusals of unsafe prompts, of safe ones that share words
with unsafe ones (XSTest), and of safe ones. Each part lies in the cache when it is done, and is not done again; seeds
may run beside each other, each with `--seeds N`, before one run over all of them gathers.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from outrider.networks import cache_folder
from outrider.networks.transformers import Decoder
from outrider.networks.tuning.reasons import LONGEST, training_set, written

from ...heads.model import arguments, opened
from ...results import keep
from ...tables import show
from .judging import refusals
from .prompts import SETS, Prompts, drawn, prompts
from .tables import reasons
from .tuning import Setting, Tuner, own_answers, plain

NAME = "studies-reasons"
KINDS = "plain", "reasons"
SETTING = Setting(steps=48, batch=8, rate=1e-3, below=20)


@dataclass(frozen=True)
class Size:
    """How much is done. most: prompts of each tested set. rewritten: reasons that the model is asked to rewrite."""

    examples: tuple[int, ...] = (50, 200, 800)
    seeds: tuple[int, ...] = (0, 1, 2)
    most: tuple[int, ...] = (60, 30, 80, 50)
    rewritten: int = 24
    setting: Setting = SETTING


SIZES = {
    "default": Size(),
    "quick": Size((50,), (0,), (16,) * 4, 0, Setting(steps=16, batch=8, rate=2e-3, below=24)),
    "large": Size((50, 200, 800), (0, 1, 2), (300,) * 4, 100, Setting(steps=200, batch=16, rate=5e-4)),
}
Progress = Callable[[int, int], None]


class Study:
    """The parts of the study, each from its file in `folder` where it was done with the same size and model."""

    def __init__(
        self, size: Size, folder: Path, pools: Prompts, base: Callable[[], Decoder], *, name: str, device: str = "cpu"
    ) -> None:
        self.size, self.folder, self.pools, self.name, self.device = size, folder, pools, name, device
        self._open = base
        self._base: Decoder | None = None
        self._tuner: Tuner | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def base(self) -> Decoder:
        if self._base is None:
            self._base = self._open()
        return self._base

    @property
    def tuner(self) -> Tuner:
        if self._tuner is None:
            self._tuner = Tuner(self.base, self.size.setting, self.device)
        return self._tuner

    def untuned(self) -> dict[str, Any]:
        """What the base refuses, and how many of its own reasons keep the rules when it rewrites them."""

        def measured() -> dict[str, Any]:
            model = Decoder(plain(copy.deepcopy(self.base.model)), self.base.processor)
            return {"refused": self._judged(model), "rewriting": self._rewriting(model)}

        return self._part("base", measured)

    def tuned(self, kind: str, number: int, seed: int, progress: Progress | None = None) -> dict[str, Any]:
        """What a model refuses that was tuned on a number of examples."""

        def measured() -> dict[str, Any]:
            requests = drawn(self.pools, number, seed)
            safe = [request.prompt for request in requests if not request.unsafe]
            own = own_answers(self.base, safe, self.folder / "own.json")
            lessons = training_set(requests, kind=kind, own=own).lessons
            run = self.folder / "runs" / f"{kind}-{number}-{seed}"
            with self.tuner.tuned(lessons, seed, run, progress) as model:
                return {"refused": self._judged(model)}

        return self._part(f"{kind}-{number}-{seed}", measured)

    def figures(self, seeds: Sequence[int]) -> dict[str, Any]:
        """Everything that the tables say, in JSON types."""
        base = self.untuned()
        parts = {
            (kind, number, seed): self.tuned(kind, number, seed, _told(f"{kind}, {number} examples, seed {seed}"))
            for seed in seeds
            for number in self.size.examples
            for kind in KINDS
        }
        return {
            "model": self.name,
            "base": base["refused"],
            "rewriting": base["rewriting"],
            "refused": {
                kind: {
                    str(number): [parts[kind, number, seed]["refused"] for seed in seeds]
                    for number in self.size.examples
                }
                for kind in KINDS
            },
            "seeds": list(seeds),
            "setting": asdict(self.size.setting),
            "seconds": base["seconds"] + sum(part["seconds"] for part in parts.values()),
        }

    def _judged(self, model: Decoder) -> dict[str, list[bool]]:
        together = [prompt for name in SETS for prompt in self.pools.tested[name]]
        said = iter(refusals(model, together))
        return {name: [next(said) for _ in self.pools.tested[name]] for name in SETS}

    def _rewriting(self, model: Decoder) -> dict[str, int]:
        requests = [one for one in drawn(self.pools, max(self.size.examples), 0) if one.unsafe][: self.size.rewritten]
        if not requests:
            return {}

        def write(asked: list[str]) -> list[str]:
            return [answer.text for answer in written(model, asked, LONGEST)]

        return training_set(requests, write=write).rewriting

    def _part(self, name: str, measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        key = {"model": self.name, "setting": asdict(self.size.setting), "tested": self.pools.tested}
        key = json.loads(json.dumps(key))
        path = self.folder / f"{name}.json"
        if path.is_file():
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if stored["key"] == key:
                return stored
        began = time.process_time()
        found = {**measured(), "key": key, "seconds": time.process_time() - began}
        new = path.with_suffix(".new")
        new.write_text(json.dumps(found), encoding="utf-8")
        new.replace(path)
        return found


def _told(what: str) -> Progress:
    def progress(done: int, total: int) -> None:
        if done == total or done % 20 == 0:
            print(f"{what}: step {done} of {total}", file=sys.stderr)

    return progress


def main(given: Sequence[str] | None = None) -> None:
    """Measure and show."""
    parser = arguments(__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="50 examples, one seed, few prompts: only to see it run")
    which.add_argument("--large", action="store_true", help="more steps and prompts, all layers; for one GPU")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="default: 0 1 2, with --quick 0")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="where parts lie; default: in the cache")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda; default: cpu")
    options = parser.parse_args(given)
    name = "quick" if options.quick else "large" if options.large else "default"
    size = SIZES[name]
    folder = options.folder or cache_folder() / "benchmarks" / "studies" / "reasons"
    pools = prompts(options.prompts, size.most)

    def base() -> Decoder:
        decoder = opened(options.model)
        decoder.model.to(options.device)
        return decoder

    model = "SmolLM2-135M" if options.model is None else options.model.resolve().name
    study = Study(size, folder / name, pools, base, name=model, device=options.device)
    figures = study.figures(options.seeds or size.seeds)
    show(reasons(figures))
    if options.keep:
        keep(NAME, figures)


if __name__ == "__main__":
    main()
