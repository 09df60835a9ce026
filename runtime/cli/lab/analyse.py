"""Show what safety tuning did inside models, as one page and its figures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ....networks.packages import require
from ...printable import printable
from ..heads.opening import prompts_of
from ..printing import answer
from ..progress import progress_bar

PAGE, FIGURES = "analysis.html", "analysis.json"
_TESTBED_OUTPUTS = 10


def run(options: argparse.Namespace) -> int:
    for package, need in (("jinja2", "the page needs Jinja"), ("matplotlib", "its drawings need matplotlib")):
        require(package, need, "lab")
    _check(options)
    from ...lab.analysis import AnalysisPlan, analyse, render_analysis

    outputs = options.outputs or (_TESTBED_OUTPUTS if options.testbed else 1)
    plan = AnalysisPlan(
        positions=outputs, batch=options.batch_size, alphas=options.alphas, random_models=not options.no_random_models,
        attention=options.attention, seed=options.seed,
    )  # fmt: skip
    base, tuned, kinds, behaviour, left_out = (_of_testbed if options.testbed else _of_prompts)(options, outputs)
    for said in left_out:
        sys.stderr.write(f"outrider: warning: {printable(said)}; left out\n")
    with progress_bar("analysing", len(tuned) + 1, quiet=options.quiet) as progress:
        figures = analyse(
            base, tuned, kinds, plan, behaviour=behaviour, progress=lambda done, _total: progress(done)
        )  # fmt: skip
    facts = {"base": str(options.base), "tuned": {name: str(path) for name, path in options.tuned}} | figures
    facts["left_out"] = left_out
    page = render_analysis(figures, options.base.resolve().name, left_out=tuple(f"{said}." for said in left_out))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / PAGE).write_text(page, encoding="utf-8")
    (options.output / FIGURES).write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    answer(facts, lambda: _print(options, figures), as_json=options.json)
    return 0


def _check(options: argparse.Namespace) -> None:
    names = [name for name, _ in options.tuned]
    if len(set(names)) < len(names):
        raise ValueError(f"expected a name of its own for each tuned model, got {', '.join(names)}; say NAME=FOLDER")
    given = [name for name in ("unsafe", "safe", "jailbreak") if getattr(options, name)]
    if options.testbed and given:
        raise ValueError(f"expected --testbed, which has inputs of its own, or prompts, got both: --{given[0]}")
    if not options.testbed and not {"unsafe", "safe"} <= set(given):
        raise ValueError("expected --unsafe FILE and --safe FILE, or else --testbed, got something else")


_Opened = tuple[Any, dict[str, Any], dict[str, Any], Callable[[Any], Mapping[str, Any]] | None, list[str]]


def _of_testbed(options: argparse.Namespace, outputs: int) -> _Opened:
    from ...lab.analysis.chat import open_bare
    from ...lab.analysis.testbed import answering, language_of, measured_sequences, sequence_inputs

    language = language_of(options.base)
    sequences = measured_sequences(language, options.count)
    models = {name: open_bare(Path(path), dtype=options.dtype, device=options.device) for name, path in options.tuned}
    base = open_bare(options.base, dtype=options.dtype, device=options.device)
    inputs = {kind: sequence_inputs(some) for kind, some in sequences.items()}
    return base, models, inputs, answering(sequences, letters=outputs), []


def _of_prompts(options: argparse.Namespace, outputs: int) -> _Opened:
    from ....networks.transformers import open_decoder
    from ...lab.analysis.chat import open_tuned, prompt_inputs, refusing

    files = {"safe": options.safe, "unsafe": options.unsafe} | {name: Path(path) for name, path in options.jailbreak}
    prompts = {
        kind: prompts_of(path, "safe" if kind == "safe" else "unsafe", options.rows)[0] for kind, path in files.items()
    }
    base = open_decoder(options.base, dtype=options.dtype, device=options.device, system=options.system)
    tuned = {
        name: open_tuned(base, Path(path), dtype=options.dtype, device=options.device) for name, path in options.tuned
    }
    found = {
        kind: prompt_inputs(base, some, outputs=outputs, batch=options.batch_size) for kind, some in prompts.items()
    }
    left_out = [f"{kind}: {said}" for kind, (_, reasons) in found.items() for said in reasons]
    inputs = {kind: of for kind, (of, _) in found.items()}
    behaviour = None
    if options.answers:
        behaviour = refusing(base, inputs, tokens=options.answers, batch=options.batch_size)
    return base.model, tuned, inputs, behaviour, left_out


def _print(options: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    for name, model in figures["models"].items():
        distance = model["separation"]["distance"][-1]
        said = "–" if distance is None else f"{distance:.2f}"
        sys.stdout.write(f"{printable(name)}: clusters {said} spreads apart in the last layer\n")
    written = printable(f"{options.output / PAGE}, {options.output / FIGURES}")
    sys.stdout.write(f"written: {written}\n")
