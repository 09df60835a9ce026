"""No prompt is in two parts, no focus word of XSTest either, and fewer examples are the first of more."""

from __future__ import annotations

import pytest

from benchmarks.heads.focus import focus_words, stems
from benchmarks.heads.prompts import read
from benchmarks.studies.reasons.prompts import SETS, drawn, prompts


@pytest.fixture(scope="module")
def pools(folder):
    return prompts(folder, [80, 70, 60, 20])


def test_no_prompt_is_in_two_parts(pools):
    parts = [
        *pools.unsafe, *pools.safe, *pools.border_unsafe, *pools.border_safe,
        *(prompt for sets in (pools.chosen_with, pools.tested) for name in SETS for prompt in sets[name]),
    ]  # fmt: skip
    assert len(set(parts)) == len(parts)
    assert {name: len(pools.tested[name]) for name in ("unsafe", "safe")} == {"unsafe": 40, "safe": 20}


def test_no_focus_word_is_in_two_parts_of_xstest(pools, folder):
    focus = focus_words(read(folder, "xstest"))
    parts = [
        [*pools.border_unsafe, *pools.border_safe],
        *([*sets["contrasts"], *sets["borderline"]] for sets in (pools.chosen_with, pools.tested)),
    ]
    words = [{word for text in part for word in stems(text)} & focus for part in parts]
    assert all(len(found) > 20 for found in words)
    assert sum(map(len, words)) == len(set.union(*words))


def test_kinds_are_where_their_names_say(pools):
    for sets in (pools.chosen_with, pools.tested):
        assert all(" unsafe " in text for text in sets["unsafe"])
        assert all(" safe " in text for text in sets["safe"])
        assert all(text.endswith("badly") for text in sets["contrasts"])
        assert all(text.endswith("safely") for text in sets["borderline"])


def test_fewer_examples_are_among_more_in_the_same_shares(pools):
    few, many = drawn(pools, 20, 3), drawn(pools, 100, 3)
    assert {one.prompt for one in few} < {one.prompt for one in many}
    assert [sum(one.unsafe for one in some) for some in (few, many)] == [6, 30]
    assert [sum("verb" in one.prompt and one.unsafe for one in some) for some in (few, many)] == [1, 5]
    assert [sum("verb" in one.prompt and not one.unsafe for one in some) for some in (few, many)] == [1, 5]
    assert {one.prompt for one in drawn(pools, 20, 4)} != {one.prompt for one in few}


def test_too_many_examples_are_refused(pools):
    with pytest.raises(ValueError, match=r"expected \d+ prompts to tune on, got 40"):
        drawn(pools, 400, 0)
