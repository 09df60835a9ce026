"""The mechanism of safety tuning on the testbed: `python -m benchmarks.studies.mechanism.study`.

Takes the models that `python -m benchmarks.studies.testbed` left, a base and six tuned ones for each seed, and measures
each once: clusters, weights, sensitivity, and W_base + α ΔW. A seed that is done is not measured again; seeds may run
beside each other, each with `--seeds N`. Nothing is chosen on these inputs: the rules of `claims` were written before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from outrider.networks import cache_folder
from outrider.runtime.lab.analysis import (
    AnalysisPlan,
    analyse,
    answering,
    language_of,
    measured_sequences,
    open_bare,
    render_analysis,
    sequence_inputs,
)

from ...results import keep
from ...tables import show
from .claims import BASE, METHODS, name_of
from .tables import mechanism

NAME = "studies-mechanism"
SEEDS = (0, 1, 2)
RATES = ("M", "S")


@dataclass(frozen=True)
class Sizes:
    """count: inputs of each kind for activations and sensitivity. answered: of these, how many at each α.

    batch: inputs at a time.
    """

    count: int = 200
    answered: int = 80
    alphas: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    shuffles: int = 20
    batch: int = 40


QUICK = Sizes(count=60, answered=40, alphas=(1.0, 1.5), shuffles=5)
LARGE = Sizes(count=500, answered=500, batch=500)


def measured(models: Mapping[str, Path], seed: int, sizes: Sizes, device: str) -> dict[str, Any]:
    """The figures of one seed's models, ``base`` among them, each a folder."""
    language = language_of(models[BASE])
    sequences = measured_sequences(language, sizes.count)
    opened = {name: open_bare(path, device=device) for name, path in models.items()}
    base = opened.pop(BASE)
    plan = AnalysisPlan(alphas=sizes.alphas, shuffles=sizes.shuffles, batch=sizes.batch, seed=seed)
    inputs = {kind: sequence_inputs(some) for kind, some in sequences.items()}
    behaviour = answering({kind: some[: sizes.answered] for kind, some in sequences.items()}, batch=sizes.batch)
    return analyse(base, opened, inputs, plan, behaviour=behaviour)


def folders(testbed: Path, seed: int) -> dict[str, Path]:
    """The folders of a seed's models by name. Raises FileNotFoundError that names one that is not there."""
    found = {BASE: testbed / f"seed-{seed}" / "base"}
    found |= {
        name_of(method, rate): testbed / f"seed-{seed}" / name_of(method, rate) for method in METHODS for rate in RATES
    }
    for path in found.values():
        if not (path / "config.json").is_file():
            raise FileNotFoundError(f"{path}: expected a model of the testbed, got none; run its study first")
    return found


def of_seed(folder: Path, testbed: Path, seed: int, sizes: Sizes, device: str) -> dict[str, Any]:
    """The figures of a seed, from its file if that has been measured with the same sizes on the same models."""
    models = folders(testbed, seed)
    key = {
        "sizes": json.loads(json.dumps(asdict(sizes))),
        "models": {name: _stamp(path) for name, path in models.items()},
    }
    path = folder / f"seed-{seed}.json"
    if path.is_file():
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] == key:
            return stored
    began = time.process_time()
    figures = measured(models, seed, sizes, device)
    found = {"key": key, "minutes": (time.process_time() - began) / 60, "figures": figures}
    folder.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found) + "\n", encoding="utf-8")
    new.replace(path)
    page = render_analysis(figures, f"testbed, seed {seed}")
    path.with_suffix(".html").write_text(page, encoding="utf-8")
    return found


def gathered(parts: Mapping[int, Mapping[str, Any]], *, quick: bool) -> dict[str, Any]:
    """What is kept: the figures of each seed, and what they took."""
    return {
        "seeds": {str(seed): part["figures"] for seed, part in parts.items()},
        "minutes": sum(part["minutes"] for part in parts.values()),
        "quick": quick,
    }


def _stamp(folder: Path) -> list[Any]:
    """What tells whether a model has been made anew."""
    weights = sorted(folder.glob("*.safetensors"))
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in weights]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and show."""
    studies = cache_folder() / "benchmarks" / "studies"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help=f"default: {SEEDS}; with --quick {SEEDS[:1]}")
    parser.add_argument("--folder", type=Path, default=studies / "mechanism", help="of figures; default: %(default)s")
    parser.add_argument("--testbed", type=Path, default=studies / "testbed", help="of models; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="one seed and few inputs")
    parser.add_argument("--large", action="store_true", help="many inputs and α, for a GPU")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    sizes = QUICK if options.quick else LARGE if options.large else Sizes()
    seeds = options.seeds or (SEEDS[:1] if options.quick else SEEDS)
    size = "quick" if options.quick else "large" if options.large else ""  # the folders' names, as the testbed's study
    parts = {}
    for seed in seeds:
        parts[seed] = of_seed(options.folder / size, options.testbed / size, seed, sizes, options.device)
        print(f"seed {seed}: {parts[seed]['minutes']:.1f} core-minutes", flush=True)
    figures = gathered(parts, quick=options.quick)
    show(mechanism(figures))
    if options.keep:
        keep(NAME, figures)


if __name__ == "__main__":
    main()
