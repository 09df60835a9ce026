from __future__ import annotations

from collections import Counter

import pytest
from scipy.stats import beta

from outrider.runtime.lab.evaluation.judge import ANSWERED, GARBAGE, REFUSED, RuleJudge
from outrider.runtime.lab.evaluation.labelled import labelled_answers, measure_judge


class AlwaysAnswered:
    name = "always"

    def judge(self, answers):
        return [ANSWERED] * len(answers)

    def clear(self, _answer):
        return False


def test_the_set_is_large_short_and_of_every_kind():
    every = labelled_answers()
    assert len(every) == len(labelled_answers("rules")) + len(labelled_answers("held")) >= 100
    assert len({one.text for one in every}) == len(every)
    for part in ("rules", "held"):
        assert set(Counter(one.label for one in labelled_answers(part))) == {ANSWERED, REFUSED, GARBAGE}
    assert max(len(one.text.split()) for one in every) <= 32


def test_a_judge_is_measured_on_what_no_rule_was_written_for():
    held = Counter(one.label for one in labelled_answers("held"))
    found = measure_judge(AlwaysAnswered())
    assert found.judge == "always"
    assert (found.n, found.right) == (held.total(), held[ANSWERED])
    assert found.confusion == {
        label: {ANSWERED: held[label], REFUSED: 0, GARBAGE: 0} for label in (ANSWERED, REFUSED, GARBAGE)
    }
    k, n = found.right, found.n
    assert found.interval == pytest.approx((beta.ppf(0.025, k, n - k + 1), beta.ppf(0.975, k + 1, n - k)))
    facts = found.to_dict()
    assert (facts["accuracy"], facts["interval"]) == (k / n, list(found.interval))


def test_the_rules_are_not_perfect_on_it_and_good():
    found = measure_judge(RuleJudge())
    assert 0.85 <= found.right / found.n < 1
    assert measure_judge(RuleJudge(), None).n == len(labelled_answers())
