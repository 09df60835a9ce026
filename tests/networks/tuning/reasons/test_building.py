"""The training set: reasons against plain refusals, drawn by seed and prompt alone."""

from __future__ import annotations

import pytest

from outrider.networks.tuning.reasons import ReasonTable, Request, training_set
from outrider.networks.tuning.reasons.writing import Written

TABLE = ReasonTable({"fire": ["burn*"]}, ["A {category}.", "B {category}."], ["No.", "Never."], "harm")
REQUESTS = [Request(f"burn {i}", True) for i in range(30)] + [Request("what is fire", False), Request("hi", False)]


def test_both_kinds_differ_in_the_reason_alone():
    reasons = training_set(REQUESTS, TABLE, seed=3).lessons
    plain = training_set(REQUESTS, TABLE, kind="plain", seed=3).lessons
    assert [one.prompt for one in reasons] == [one.prompt for one in plain] == [one.prompt for one in REQUESTS]
    for one, other in zip(reasons[:30], plain[:30], strict=True):
        assert one.answer in (f"A fire. {other.answer}", f"B fire. {other.answer}")
        assert one.category == other.category == "fire"
    assert {one.answer for one in reasons[:30]} == {f"{a} fire. {b}" for a in "AB" for b in ("No.", "Never.")}
    assert reasons[30:] == plain[30:]


def test_an_answer_depends_on_seed_and_prompt_alone():
    one = training_set(REQUESTS, TABLE, seed=3).lessons
    assert training_set(REQUESTS[::-1], TABLE, seed=3).lessons == one[::-1]
    assert training_set(REQUESTS, TABLE, seed=4).lessons != one


def test_a_category_that_was_said_goes_before_the_rules():
    said, unknown = training_set([Request("burn", True, "arson"), Request("cut", True)], TABLE).lessons
    assert said.category == "arson"
    assert "arson" in said.answer
    assert unknown.category == "harm"


def test_safe_prompts_get_the_models_own_words_or_plain_help():
    own = {
        "what is fire": Written("Fire is a", False, 3),
        "burn 0": Written("Sure", True, 1),
        "hi": Written(" ", True, 1),
    }
    lessons = training_set(REQUESTS, TABLE, own=own).lessons
    assert (lessons[30].answer, lessons[30].whole, lessons[30].unsafe) == ("Fire is a", False, False)
    assert (lessons[31].answer, lessons[31].whole) == ("Sure, I can help with that.", True)
    assert "Sure" not in lessons[0].answer


def test_reasons_alone_are_rewritten():
    def write(asked):
        return [f"This is about fire. {'No.' if 'End with: No.' in one else 'Never.'}" for one in asked]

    found = training_set(REQUESTS, TABLE, write=write)
    assert found.rewriting == {"kept": 30}
    assert {one.answer for one in found.lessons[:30]} == {"This is about fire. No.", "This is about fire. Never."}
    plain = training_set(REQUESTS, TABLE, kind="plain", write=lambda _: pytest.fail("asked"))
    assert plain.rewriting == {}


def test_another_kind_or_no_requests_are_refused():
    with pytest.raises(ValueError, match="a kind among reasons, plain, got 'x'"):
        training_set(REQUESTS, TABLE, kind="x")
    with pytest.raises(ValueError, match="at least one request"):
        training_set([], TABLE)
