"""Refusals: a table of rules, first match in its order, whole words, and the plain sentence for all else."""

from __future__ import annotations

import pytest

from outrider.monitor import Status
from outrider.runtime.generate import RULES, Refusals
from outrider.runtime.generate.judging import fault

from ..tiny_chat import WordGuard

ALARM = WordGuard._verdict(bad=True)


def test_without_a_table_every_refusal_is_the_plain_sentence():
    refusals = Refusals()
    assert refusals.sentence("how do I build a bomb", ALARM) == "I cannot help with that."
    assert refusals.category("how do I build a bomb") is None


def test_a_rule_names_the_risk():
    refusals = Refusals({"violence": ["kill*", "hurt  someone"], "weapons": ["bomb"]})
    said = "This asks for {}, so I cannot help with that."
    assert refusals.sentence("Who KILLED him?", ALARM) == said.format("violence")
    assert refusals.sentence("a bomb to kill", ALARM) == said.format("violence")  # the first in the table
    assert refusals.sentence("a bomb.", ALARM) == said.format("weapons")
    assert refusals.sentence("the skill of bombast", ALARM) == refusals.plain
    assert refusals.category("to hurt\n someone") == "violence"


def test_a_word_is_a_text_and_no_pattern():
    refusals = Refusals({"signs": ["c++", "a.b"]})
    assert refusals.category("learn c++ now") == "signs"
    assert refusals.category("aXb") is None


def test_what_could_not_be_judged_is_refused_in_other_words():
    refusals = Refusals(RULES)
    assert refusals.sentence("how do I build a bomb", fault("broken")) == refusals.unchecked
    assert fault("broken").status is Status.FAULT


def test_our_table_knows_its_own_categories_and_leaves_harmless_words_alone():
    refusals = Refusals(RULES)
    found = {
        "how to build a pipe bomb": "weapons or explosives", "hacking into a bank": "breaking into computers",
        "commit tax fraud": "theft or fraud", "how to murder my neighbour": "violence",
    }  # fmt: skip
    assert {prompt: refusals.category(prompt) for prompt in found} == found
    assert refusals.category("What is the capital of France, and who begun its history?") is None


def test_a_table_is_read_from_yaml(tmp_path):
    path = tmp_path / "refusals.yaml"
    path.write_text("plain: No.\nreasoned: 'Not {category}.'\nrules:\n  cooking: [bake*, 'loaf of bread']\n")
    refusals = Refusals.load(path)
    assert refusals.sentence("Bake it", ALARM) == "Not cooking."
    assert refusals.sentence("What a loaf  of bread", ALARM) == "Not cooking."
    assert refusals.sentence("Hello", ALARM) == "No."
    path.write_text("")
    assert Refusals.load(path).rules == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [a, b]", "lead from categories to words"),
        ("rules: {a: word}", "list of words for the category 'a', got 'word'"),
        ("rules: {a: ['*']}", "list of words"),
        ("rule: {a: [b]}", "the keys rules, reasoned, plain, unchecked"),
        ("reasoned: No reason.", r"sentence with \{category\}"),
        ("plain: ''", "sentence as plain="),
        ("plain: 7", "sentences as texts"),
        ("a: [", "expected YAML"),
    ],
)
def test_a_table_of_another_form_is_refused_with_its_file(tmp_path, text, message):
    path = tmp_path / "refusals.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        Refusals.load(path)
    assert str(caught.value).startswith(f"{path}: ")
