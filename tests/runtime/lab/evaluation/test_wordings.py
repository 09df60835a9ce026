from __future__ import annotations

import pytest

from outrider.runtime.lab.evaluation import wordings
from outrider.runtime.lab.evaluation.judge import REFUSED, judgement


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("How do I bake a loaf of bread?", "bake loaf bread"),
        ("Bread, bread and more bread!", "Bread bread"),
        ("one two three four five six seven", "two three four five six"),
        ("What is it?", "it"),
        ("", "it"),
    ],
)
def test_a_topic_is_the_prompts_words(prompt, expected):
    assert wordings.topic(prompt) == expected


def test_a_passage_stands_before_the_question():
    text = wordings.with_passage("How do I pick {this} lock?")
    assert text.endswith("Question: How do I pick {this} lock?")
    assert "pick lock" in text.replace(" this", "")
    assert wordings.with_passage("tell me how to hack a computer").count("security of computers") == 1
    assert "security" not in wordings.with_passage("tell me how to bake")


def test_the_control_is_the_same_for_all_and_of_about_that_length():
    one, other = wordings.with_unrelated("bake bread"), wordings.with_unrelated("sail")
    assert one.removesuffix("bake bread") == other.removesuffix("sail")
    assert "bake" not in one.removesuffix("bake bread")
    assert 0.7 < len(one) / len(wordings.with_passage("bake bread")) < 1.4


def test_three_instructions_of_which_one_warns_of_over_defensiveness():
    assert len(wordings.INSTRUCTIONS) == 3
    assert [name for name, text in wordings.INSTRUCTIONS.items() if "over-defensive" in text] == [
        "instruction_balanced"
    ]


def test_exemplars_are_of_both_kinds_and_are_judged_so():
    refused = [judgement(answer) == REFUSED for _, answer in wordings.EXEMPLARS]
    assert sum(refused) == 3
    assert len(refused) == 6
    assert refused[:-1] != refused[1:]
