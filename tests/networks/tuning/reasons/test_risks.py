"""Rules of keywords: whole words, any case, the first of the table."""

from __future__ import annotations

import pytest

from outrider.networks.tuning.reasons import RULES, RiskRules
from outrider.runtime.generate import RULES as SAME


def test_the_first_rule_with_a_word_names_the_risk():
    rules = RiskRules({"violence": ["kill*", "hurt  someone"], "weapons": ["bomb", "c++"]})
    found = {
        "Who KILLED him?": "violence", "a bomb to kill": "violence", "a bomb.": "weapons", "hurt\n someone": "violence",
        "learn c++ now": "weapons", "the skill of bombast": None, "": None,
    }  # fmt: skip
    assert {prompt: rules.category(prompt) for prompt in found} == found


@pytest.mark.parametrize("words", ["kill", [], [" * "], [3], None])
def test_a_category_without_words_is_refused(words):
    with pytest.raises(ValueError, match="expected a list of words for the category 'violence'"):
        RiskRules({"violence": words})


def test_refusals_are_worded_by_the_same_table():
    assert SAME is RULES
