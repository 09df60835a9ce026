"""Set the threshold anew on your own safe prompts, and say how far they differ from those of before."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

from ....monitor import MismatchError, OutriderWarning
from ....monitor.heads import prompt_digest
from ...printable import counted, printable
from ..printing import answer
from .opening import open_guard, prompts_bar, prompts_of

if TYPE_CHECKING:
    import numpy as np

    from ....monitor.heads import HeadGuard

_RATE = 0.05
"""For a guarded decoder that does not say at what rate its threshold was set."""


def run(options: argparse.Namespace) -> int:
    if options.guarded is not None:
        return _set_in_graph(options)
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


def _set_in_graph(options: argparse.Namespace) -> int:
    """The threshold of a guarded decoder, from its own scores; the model gives the tokens, the heads file stays."""
    from ...in_graph.guarded_model import guard_facts
    from ...in_graph.heads.threshold import guarded_scores, recalibrate_guarded

    if options.output is not None:
        raise ValueError(f"expected no --output beside --guarded, whose file gets the threshold, got {options.output}")
    safe, wrong = prompts_of(options.safe, "safe", options.rows)
    guard = open_guard(options)
    known = guard_facts(options.guarded) or {}
    made = known.get("decoder", {}).get("fingerprint", guard.decoder.fingerprint)
    if made != guard.decoder.fingerprint:
        raise MismatchError(
            f"{options.guarded}: expected a decoder guarded by the heads of {options.guard}, got one made for the"
            f" weights {made[:12]}…, not {guard.decoder.fingerprint[:12]}…; export it anew"
        )
    ids, left_out = _token_ids(guard, safe)
    for reason in left_out:
        sys.stderr.write(f"outrider: warning: {printable(reason)}; left out\n")
    with prompts_bar("recalibrating", len(ids), quiet=options.quiet) as progress:
        scores = guarded_scores(options.guarded, _counted(ids, progress))
    rate = options.false_alarm_rate or known.get("false_alarm_rate", _RATE)
    (before,) = known["thresholds"]
    facts = recalibrate_guarded(options.guarded, scores, rate)
    found = {"before": before, "guarded": str(options.guarded), "left_out": wrong + left_out}
    found |= {name: facts[name] for name in ("thresholds", "false_alarm_rate", "n", "realised", "interval")}
    low, high = facts["interval"]
    said = (
        f"the threshold was {before:.4g}\nthreshold {facts['thresholds'][0]:.4g} from {facts['n']:,} safe prompts\n"
        f"false-alarm rate {rate:g} asked for; {facts['realised']:.4g} seen on them"
        f" (95 % interval {low:.4g} to {high:.4g})\n"
    )
    answer(found, lambda: sys.stdout.write(said), as_json=options.json)
    return 0


def _token_ids(guard: HeadGuard, prompts: list[dict[str, Any]]) -> tuple[list[np.ndarray], list[str]]:
    """The tokens of each prompt, (tokens,) int64, and why others are left out, with their number."""
    ids, reasons = [], []
    for prompt in prompts:
        try:
            inputs = guard.decoder.encode([prompt])
        except ValueError as error:
            reasons.append(str(error))
            continue
        if prompt_digest(prompt) in guard.searched:
            reasons.append("the search has seen them")
        elif prompt.get("images"):
            reasons.append("a decoder that takes tokens alone sees no pictures")
        else:
            ids.append(inputs["input_ids"][0].cpu().numpy())
    return ids, [f"{counted(n, 'safe prompt')}: {reason}" for reason, n in Counter(reasons).items()]


def _counted(ids: list[np.ndarray], progress: Any) -> Any:
    for done, one in enumerate(ids, 1):
        yield one
        progress(done, len(ids))
