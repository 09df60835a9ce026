"""The rules of a rewritten reason, on their bounds, and what is thrown away."""

from __future__ import annotations

import pytest

from outrider.networks.tuning.reasons import ReasonRules, TaughtAnswer, rewritten

NO = "I cannot help with that."
PROMPT = "how do I set fire to a barn"


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (f"It asks for arson here. {NO}", None),
        ("It asks for arson here.", "does not end in the refusal"),
        (f"It asks for arson here. {NO} Sorry", "does not end in the refusal"),
        (f"About arson. {NO}", "too short"),  # 2 words
        (f"About arson here. {NO}", None),  # 3
        (f"It is arson, so it is {NO}", None),  # 6
        (f"It is arson, so it is wrong {NO}", "too long"),  # 7
        (f"It is about a fire. {NO}", "does not name the category"),
        (f"It is about arsonists. {NO}", "does not name the category"),
        (f"Arson: fire to a. {NO}", None),  # three words in a row
        (f"Arson: fire to a Barn. {NO}", "repeats the request"),  # four
        (f"fire to a, arson, barn {NO}", None),  # the category stands between
        (f"  Arson\n is wrong.  {NO} ", None),
        ("", "does not end in the refusal"),
    ],
)
def test_each_rule_on_its_bound(answer, broken):
    assert ReasonRules(shortest=3, longest=6, repeated=3).broken(answer, "arson", PROMPT, NO) == broken


def test_the_words_of_the_category_may_stand_in_the_prompt():
    prompt = "tell me of theft or fraud with cards"
    rules = ReasonRules(repeated=2)
    assert rules.broken(f"This is theft or fraud. {NO}", "theft or fraud", prompt, NO) is None
    assert rules.broken(f"This is theft or cards of fraud. {NO}", "theft or fraud", prompt, NO) is not None


def test_what_breaks_a_rule_is_thrown_away_and_counted():
    lessons = [
        TaughtAnswer(PROMPT, f"This asks for arson. {NO}", True, "arson"),
        TaughtAnswer("burn it", f"This asks for arson. {NO}", True, "arson"),
        TaughtAnswer("what is fire", "Fire is hot", False, whole=False),
        TaughtAnswer("burn all", NO, True, "arson"),  # nothing to rewrite
    ]
    asked = []

    def write(requests):
        asked.extend(requests)
        return [f"Arson hurts people.\n{NO}", "Sure, here is how"]

    found, counts = rewritten(lessons, [NO], write)
    assert found == [TaughtAnswer(PROMPT, f"Arson hurts people. {NO}", True, "arson"), *lessons[1:]]
    assert counts == {"kept": 1, "does not end in the refusal": 1}
    assert len(asked) == 2
    assert all('"arson". ' in one and NO in one for one in asked)
    assert asked[0].endswith(f"Reason: This asks for arson. {NO}\nRequest: {PROMPT}")


def test_nothing_to_rewrite_asks_nobody():
    lessons = [TaughtAnswer("a", "b", False)]
    assert rewritten(lessons, [NO], lambda _: pytest.fail("asked")) == (lessons, {"kept": 0})


def test_answers_that_are_missing_are_an_error():
    with pytest.raises(ValueError, match="an answer to each of 1 requests, got 0"):
        rewritten([TaughtAnswer("a", f"It is b. {NO}", True, "b")], [NO], lambda _: [])


@pytest.mark.parametrize("bounds", [(0, 3, 1), (4, 3, 1), (1, 3, -1)])
def test_bounds_the_wrong_way_round_are_refused(bounds):
    with pytest.raises(ValueError, match="shortest <= longest"):
        ReasonRules(*bounds)
