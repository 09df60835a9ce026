from __future__ import annotations

import pytest

from outrider.runtime.lab.evaluation.defences import DEFENCES, GUARDS, chosen_defences


def test_the_defences_of_the_paper_and_ours_are_there():
    assert list(DEFENCES) == [
        "none", "instruction", "instruction_reasoned", "instruction_balanced", "exemplars", "exemplars_reversed",
        "both", "self_check_input", "self_check_output", "context", "context_unrelated", "instruction_context",
        "probe", "heads",
    ]  # fmt: skip
    assert all(name == one.name for name, one in DEFENCES.items())
    assert len({one.title for one in DEFENCES.values()}) == len(DEFENCES)
    assert {name for name, one in DEFENCES.items() if one.looks in GUARDS} == set(GUARDS)


def test_both_is_the_instruction_and_the_exemplars():
    both = DEFENCES["both"]
    assert (both.system, both.turns) == (DEFENCES["instruction"].system, DEFENCES["exemplars"].turns)
    assert DEFENCES["exemplars_reversed"].turns == both.turns[::-1] != both.turns


def test_what_needs_a_chat_template_says_so():
    without = [name for name, one in DEFENCES.items() if not one.needs]
    assert without == ["none", "context", "context_unrelated"]
    assert DEFENCES["self_check_output"].needs == "a self-check of the output"


def test_names_are_chosen_once_and_unknown_ones_are_named_with_the_known():
    assert [one.name for one in chosen_defences(["context", "none", "context"])] == ["context", "none"]
    with pytest.raises(ValueError, match=r"among none, instruction, .*, heads, got 'wall', 'moat'$"):
        chosen_defences(["none", "wall", "moat"])
    with pytest.raises(ValueError, match="at least one defence"):
        chosen_defences([])
