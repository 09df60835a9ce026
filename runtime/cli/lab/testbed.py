"""Build the synthetic testbed: a language of safe and unsafe tasks, a model of it, and tuned ones."""

from __future__ import annotations

import argparse
from typing import Any

from ..printing import answer, bare_table, wide_console
from ..progress import progress_bar

_SHARES = ("refused", "right", "letters")


def run(options: argparse.Namespace) -> int:
    from ....networks.testbed import METHODS, Language, make_safe, new_model, pretrain
    from ....networks.tuning import Schedule

    wrong = [name for name in options.methods if name not in METHODS]
    if wrong:
        raise ValueError(f"expected methods among {', '.join(METHODS)}, got {', '.join(wrong)}")
    language = Language(options.seed, families=options.families)
    size = {name: getattr(options, name) for name in ("layers", "heads", "width")}
    model = new_model(options.seed, kind=options.model, **size)
    how: dict[str, Any] = {"seed": options.seed, "precision": options.precision}
    learning = Schedule(options.steps, options.batch, options.rate, **how)
    tuning = Schedule(options.tuning_steps, options.tuning_batch, options.tuning_rate, **how)
    folder, device = options.output, options.device
    try:
        with progress_bar("pretraining", learning.steps, quiet=options.quiet) as told:
            runs = {
                "base": pretrain(language, folder / "base", learning, model=model, progress=_done(told), device=device)
            }
        for name in options.methods:
            with progress_bar(name, tuning.steps, quiet=options.quiet) as told:
                runs[name] = make_safe(
                    folder / "base", folder / name, name, tuning, progress=_done(told), device=device
                )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on from the last checkpoint") from None
    scores = {name: _scores(language, run.folder, options.tested, device) for name, run in runs.items()}
    facts = {
        "output": str(folder), "seed": options.seed, "families": options.families, "tested": options.tested,
        "seconds": {name: run.seconds for name, run in runs.items()}, "scores": scores,
    }  # fmt: skip
    answer(facts, lambda: _print(scores, options.tested), as_json=options.json)
    return 0


def _done(told: Any) -> Any:
    return lambda done, _total: told(done)


def _scores(language: Any, folder: Any, tested: int, device: str | None) -> dict[str, dict[str, float]]:
    from ....networks.testbed import JAILBREAKS, SAFE_KINDS, open_model, score

    model = open_model(folder, device or "cpu")
    kinds = ("any", "unsafe", *SAFE_KINDS, *JAILBREAKS)
    return {
        kind: score(model, language.draw(kind, tested, language.rng("test", i))).shares()
        for i, kind in enumerate(kinds)
    }


def _print(scores: dict[str, dict[str, dict[str, float]]], tested: int) -> None:
    table = bare_table("% refused / right / letters right", *scores)
    for kind in scores["base"]:
        table.add_row(kind, *(" / ".join(f"{100 * of[kind][name]:.0f}" for name in _SHARES) for of in scores.values()))
    console = wide_console()
    console.print(table)
    console.print(f"{tested} test sequences of each kind; outputs are forced, see the reference")
