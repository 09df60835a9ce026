"""Tune a model on pairs of answers, so that it refuses what is unsafe and answers what is safe."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ...printable import counted, printable
from ..options.lab.tune import NOT_OF_THE_PLAN
from ..printing import answer
from ..progress import progress_bar

if TYPE_CHECKING:
    from ....networks.tuning import Trained, TuningPlan

_ENDS = 10
"""Steps at either end of the curve whose mean is told."""


def run(options: argparse.Namespace) -> int:
    from ....networks.tuning import TuningPlan, tune

    given = {name: value for name, value in vars(options).items() if name not in NOT_OF_THE_PLAN}
    plan = TuningPlan.from_dict({name: value for name, value in given.items() if value is not None})
    try:
        with progress_bar(f"tuning by {plan.method}", plan.steps, quiet=options.quiet) as progress:
            trained = tune(plan, progress=lambda done, _total: progress(done))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from {plan.output / 'checkpoints'}") from None
    ends = min(_ENDS, (len(trained.losses) + 1) // 2)
    first, last = sum(trained.losses[:ends]) / ends, sum(trained.losses[-ends:]) / ends
    facts = {
        "output": str(trained.folder), "method": plan.method, "steps": len(trained.losses), "seconds": trained.seconds,
        "resumed": trained.resumed, "loss": {"first": first, "last": last, "steps": ends},
    }  # fmt: skip
    answer(facts, lambda: _print(plan, trained, first, last, ends), as_json=options.json)
    return 0


def _print(plan: TuningPlan, trained: Trained, first: float, last: float, ends: int) -> None:
    again = ", in parts" if trained.resumed else ""
    what = "all weights" if plan.full else "adapters"
    also = f", the whole model to {plan.output / 'merged'}" if plan.merge else ""
    sys.stdout.write(
        f"{plan.method}: {counted(len(trained.losses), 'step')} in {trained.seconds:,.0f} s{again}\n"
        f"loss {first:.4g} over the first {counted(ends, 'step')}, {last:.4g} over the last\n"
        f"{what} written to {printable(str(trained.folder) + also)}\n"
    )
