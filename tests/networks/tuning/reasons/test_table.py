"""The table of reasons: what is drawn, what a file may hold."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.tuning.reasons import ReasonTable

FILE = """
refusals: [No., Never.]
reasons: ['That is {category}.']
unknown: some harm
categories:
  baking: [bake*]
  fire: {words: [burn*], reasons: ['{category} is hot.', 'Fire hurts.']}
"""


def test_a_reason_is_drawn_and_names_the_category():
    table = ReasonTable(reasons=["A {category}.", "B {category}."], refusals=["No.", "Never."])
    rng = np.random.default_rng(0)
    assert {table.reason("x", rng) for _ in range(40)} == {"A x.", "B x."}
    assert {table.refusal(rng) for _ in range(40)} == {"No.", "Never."}
    assert table.category("how to build a bomb") == "weapons or explosives"
    assert table.category("how to bake a cake") == "serious harm"


def test_a_table_is_read_from_yaml(tmp_path):
    path = tmp_path / "table.yaml"
    path.write_text(FILE)
    table = ReasonTable.load(path)
    rng = np.random.default_rng(0)
    assert table.category("Baking") == table.unknown == "some harm"  # `bake*` is another beginning
    assert table.category("I bake and burn") == "baking"
    assert table.reason("baking", rng) == "That is baking."
    assert {table.reason("fire", rng) for _ in range(40)} == {"fire is hot.", "Fire hurts."}
    assert {table.refusal(rng) for _ in range(40)} == {"No.", "Never."}
    path.write_text("")
    assert ReasonTable.load(path) == ReasonTable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "with the keys categories, reasons, refusals, unknown, got another one"),
        ("more: 1", "with the keys"),
        ("reasons: []", "a list of sentences as reasons"),
        ("reasons: No", "a list of sentences as reasons"),
        ("reasons: [This is wrong.]", r"a reason with \{category\} in it"),
        ("refusals: ['']", "a list of sentences as refusals"),
        ("unknown: ' '", "words as `unknown`"),
        ("categories: [a]", "`categories` to lead from names to words, got list"),
        ("categories: {a: []}", "a list of words for the category 'a'"),
        ("categories: {a: {words: [b], more: 1}}", "category 'a' to have `words` and `reasons`"),
        ("categories: {fire: {words: [b], reasons: [It is hot.]}}", "a reason that names 'fire'"),
        ("a: [", "expected YAML"),
    ],
)
def test_another_file_is_refused_by_name(text, message, tmp_path):
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        ReasonTable.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
