"""The page of the demo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from ...pages import Card, fill, heights
from . import charts
from .experiment import ATTACKED, CORRUPTED, COVERED, FALSE_ALARM_RATE, STRANGE, Experiment, Outcome

KINDS = {
    COVERED: "Traffic lights",
    STRANGE: "Something else",
    CORRUPTED: "Traffic lights, spoiled",
    ATTACKED: "Traffic lights, attacked",
}
_RARE = 30


@dataclass(frozen=True)
class AnswerCard(Card):
    """An image with the network's answer, the true class where that is another, and the monitor's confidence."""

    prediction: str
    truth: str | None
    confidence: float


def render_page(experiment: Experiment) -> str:
    """The page as HTML, with style, charts and images inside."""
    test = experiment.test
    trusted = zip(experiment.classes, experiment.profile["trusted"]["per_class"], strict=True)
    return fill(
        Path(__file__).with_name("page.html"),
        {"percent": percent, "picture": charts.picture},
        experiment=experiment,
        test=test,
        kinds=KINDS,
        rate=FALSE_ALARM_RATE,
        groups={kind: [o for o in experiment.outcomes if o.inputs.kind == kind] for kind in KINDS},
        strange=_pooled(experiment, STRANGE),
        heights=heights,
        roc=lambda outcome: charts.roc(test.verdicts.score, outcome.verdicts.score),
        headers=[(*name, len(list(columns))) for name, columns in groupby(experiment.columns, _header)],
        flagged=_cards(experiment, _some_flagged),
        missed=_cards(experiment, lambda outcome: _missed(outcome)[:8]),
        missed_and_wrong=lambda outcome: int(_wrong(outcome)[_missed(outcome)].sum()),
        unmissed=[o.inputs.name for o in experiment.outcomes if o.verdicts.alarm.all()],
        false_alarms=_cards(experiment, lambda outcome: np.flatnonzero(outcome.verdicts.alarm)[:24])(test),
        errors=int(_wrong(test).sum()),
        errors_flagged=int((_wrong(test) & test.verdicts.alarm).sum()),
        rare=[(name, count) for name, count in trusted if count < _RARE],
    )


def percent(share: float) -> str:
    """``4.7 %``, ``92 %``: a tenth below 10 and above 99. Only 0 reads as 0 %, only 1 as 100 %."""
    value = 100 * share
    near_end = 0 < value < 10 or 99 < value < 100
    return f"{value:.1f}".removesuffix(".0") + "\u202f%" if near_end else f"{value:.0f}\u202f%"


def _header(column: str) -> tuple[str, str]:
    tap, criterion = column.rsplit(" ", 1)
    return criterion.replace("_", " "), tap.rsplit(":", 1)[1]


def _column(column: str) -> str:
    """``relu_2:unit single_range`` -> ``relu_2 single range``."""
    return f"{column.split(':', maxsplit=1)[0]} {_header(column)[0]}"


def _pooled(experiment: Experiment, kind: str) -> dict[str, float]:
    """How many inputs of a kind there were, how many were flagged, and of how many the network was sure."""
    outcomes = [outcome for outcome in experiment.outcomes if outcome.inputs.kind == kind]
    count = sum(len(outcome.verdicts) for outcome in outcomes)
    return {
        "count": count,
        "flagged": int(sum(outcome.verdicts.alarm.sum() for outcome in outcomes)),
        "sure": sum(outcome.sure * len(outcome.verdicts) for outcome in outcomes) / count,
    }


def _some_flagged(outcome: Outcome) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.flatnonzero(outcome.verdicts.alarm))[:4]


def _missed(outcome: Outcome) -> np.ndarray:
    """The rows without an alarm: first where the network is wrong, then by score."""
    missed = np.flatnonzero(~outcome.verdicts.alarm)
    return missed[np.lexsort((outcome.verdicts.score[missed], ~_wrong(outcome)[missed]))]


def _wrong(outcome: Outcome) -> np.ndarray:
    """(n,) bool: whether the network is wrong, where there is a right answer."""
    labels = outcome.inputs.labels
    return np.zeros(len(outcome.verdicts), bool) if labels is None else outcome.verdicts.prediction != labels


def _cards(experiment: Experiment, choose: Callable[[Outcome], np.ndarray]) -> Callable[[Outcome], list[AnswerCard]]:
    def card(outcome: Outcome, row: int) -> AnswerCard:
        verdict, labels = outcome.verdicts[row], outcome.inputs.labels
        answer = experiment.classes[verdict.prediction]
        truth = answer if labels is None else experiment.classes[labels[row]]
        columns = ", ".join(map(_column, verdict.layers[:2]))
        more = len(verdict.layers) - 2
        return AnswerCard(
            charts.picture(outcome.inputs.images[row]),
            f"{outcome.inputs.name}, taken for {answer}",
            columns + (f" and {more} more" if more > 0 else "") or verdict.reason,
            verdict.score / verdict.threshold,
            answer,
            None if truth == answer else truth,
            verdict.confidence,
        )

    return lambda outcome: [card(outcome, int(row)) for row in choose(outcome)]
