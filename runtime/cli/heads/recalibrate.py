"""Set the threshold anew on your own safe prompts, and say how far they differ from those of before."""

from __future__ import annotations

import argparse
import sys
import warnings

from ....monitor import OutriderWarning
from ..printing import answer
from .opening import check_folder, open_guard, prompts_bar, prompts_of


def run(options: argparse.Namespace) -> int:
    check_folder(options.output)
    safe, wrong = prompts_of(options.safe, "safe", options.rows)
    guard = open_guard(options, calibrated=True)
    before = guard.threshold
    with prompts_bar("recalibrating", len(safe), quiet=options.quiet) as progress:
        features = guard.measure(safe, guard.chosen, progress=progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # the comparison is printed whole
        drift = guard.compare(features)
    calibration = guard.recalibrate(features, options.false_alarm_rate)
    guard.save(options.output or options.guard)
    facts = {"before": before, "drift": drift.to_dict(), "calibration": calibration.to_dict(), "left_out": wrong}
    said = f"{drift}\nthe threshold was {before:.4g}\n{calibration}\n"
    answer(facts, lambda: sys.stdout.write(said), as_json=options.json)
    return 0
