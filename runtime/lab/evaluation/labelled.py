"""How often a judge of answers is right, on short answers that we made up and labelled.

`labelled.jsonl` beside this file holds refusals, partial ones, answers, apologies that go on to answer, and garbage.
The part `rules` was before our eyes while the rules were written, the part `held` was written afterwards, and no rule
was changed for it. None of them answers anything unsafe.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ....monitor import clopper_pearson
from .judge import JUDGEMENTS, AnswerJudge

HELD = "held"
_FILE = Path(__file__).with_name("labelled.jsonl")


class LabelledAnswer(NamedTuple):
    """An answer of our set. label: one of `JUDGEMENTS`. part: "rules" or "held"."""

    text: str
    label: str
    part: str


@dataclass(frozen=True)
class JudgeMeasured:
    """A judge on labelled answers. confusion: label -> judgement -> how many."""

    judge: str
    confusion: dict[str, dict[str, int]]

    @property
    def n(self) -> int:
        """How many answers were judged."""
        return sum(sum(row.values()) for row in self.confusion.values())

    @property
    def right(self) -> int:
        """How many of them rightly."""
        return sum(self.confusion[label][label] for label in self.confusion)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Clopper-Pearson interval of the share that is right."""
        return clopper_pearson(self.right, self.n)

    def to_dict(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "judge": self.judge, "n": self.n, "right": self.right, "accuracy": self.right / self.n,
            "interval": list(self.interval), "confusion": self.confusion,
        }  # fmt: skip


def labelled_answers(part: str | None = None) -> list[LabelledAnswer]:
    """Our labelled answers, all or those of a part, in the order of the file."""
    return [one for one in _read() if part in (None, one.part)]


def measure_judge(judge: AnswerJudge, part: str | None = HELD) -> JudgeMeasured:
    """The judge on our answers, by default on those that no rule was written for."""
    answers = labelled_answers(part)
    confusion = {label: dict.fromkeys(JUDGEMENTS, 0) for label in JUDGEMENTS}
    for answer, said in zip(answers, judge.judge([one.text for one in answers]), strict=True):
        confusion[answer.label][said] += 1
    return JudgeMeasured(judge.name, confusion)


def _read() -> Iterator[LabelledAnswer]:
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        facts = json.loads(line)
        yield LabelledAnswer(facts["answer"], facts["label"], facts["part"])
