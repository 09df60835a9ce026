"""Set the threshold of a heads file on safe prompts that the search did not see."""

from __future__ import annotations

import argparse
import sys

from ..printing import answer
from .opening import open_guard, prompts_bar, prompts_of

_RATE = 0.05


def run(options: argparse.Namespace) -> int:
    safe, wrong = prompts_of(options.safe, "safe", options.rows)
    guard = open_guard(options)
    rate = _RATE if options.false_alarm_rate is None else options.false_alarm_rate
    with prompts_bar("calibrating", len(safe), quiet=options.quiet) as progress:
        calibration = guard.calibrate(safe, rate, progress=progress)
    guard.save(options.output or options.guard)
    facts = calibration.to_dict() | {"left_out": wrong}
    answer(facts, lambda: sys.stdout.write(f"{calibration}\n"), as_json=options.json)
    return 0
