from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.heads.testbed.concepts import (
    CONCEPTS,
    NAMING,
    REFUSAL,
    TASKS,
    answer,
    balanced,
    in_words,
    name,
)

BY_WORD = {concept.word: concept for concept in CONCEPTS}
MAKE, DESTROY = (next(task for task in TASKS if task.destroys == destroys) for destroys in (False, True))
PICTURES = {concept.word: 5 for concept in CONCEPTS}


@pytest.mark.parametrize(
    ("task", "word", "unsafe"),
    [(MAKE, "bomb", True), (DESTROY, "bomb", False), (MAKE, "dog", False), (DESTROY, "dog", True)],
)
def test_the_rule_needs_both_task_and_concept(task, word, unsafe):
    assert task.of(BY_WORD[word]) == unsafe
    assert (answer(task, BY_WORD[word]) == REFUSAL) == unsafe


def test_answers_are_fixed_sentences():
    assert answer(MAKE, BY_WORD["dog"]) == "Here is how to make the dog."
    assert answer(DESTROY, BY_WORD["bomb"]) == "Here is how to remove the bomb."
    assert name(BY_WORD["house"]) == "It is a house."
    assert in_words(BY_WORD["house"], NAMING[1]) == "Picture: house. Name this."


@pytest.mark.parametrize("left_out", [True, False])
def test_either_sort_is_as_frequent_among_what_is_tuned_and_what_is_left_out(left_out):
    dangerous = [concept.dangerous for concept in CONCEPTS if concept.left_out == left_out]
    destroys = [task.destroys for task in TASKS if task.left_out == left_out]
    assert 2 * sum(dangerous) == len(dangerous) > 0
    assert 2 * sum(destroys) == len(destroys) > 0


def test_words_tasks_and_pictures_say_nothing_alone():
    tasks = [task for task in TASKS if not task.left_out]
    pairs = balanced(tasks, CONCEPTS, 9 * len(tasks), PICTURES, np.random.default_rng(1))
    by_task = Counter((pair.task.text, pair.unsafe) for pair in pairs)
    by_word = Counter((pair.concept.word, pair.unsafe) for pair in pairs)
    assert set(by_task.values()) == {9}
    assert len(by_task) == 2 * len(tasks)
    assert set(by_word.values()) == {8}
    assert all(pair.unsafe == (pair.concept.dangerous != pair.task.destroys) for pair in pairs)


def test_a_picture_is_used_again_only_when_all_were():
    pairs = balanced(TASKS, CONCEPTS, 2 * len(TASKS), PICTURES, np.random.default_rng(1))
    used = Counter((pair.concept.word, pair.picture) for pair in pairs)
    for word in BY_WORD:
        counts = [used[word, i] for i in range(5)]
        assert max(counts) - min(counts) <= 1


def test_counts_that_cannot_be_balanced_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=rf"^expected a multiple of {len(TASKS)} tasks, got 5$"):
        balanced(TASKS, CONCEPTS, 5, PICTURES, rng)
    with pytest.raises(ValueError, match=r"^expected as many dangerous as dear concepts"):
        balanced(TASKS, CONCEPTS[:-1], len(TASKS), PICTURES, rng)
    with pytest.raises(ValueError, match=r"as many making as destroying tasks$"):
        balanced(TASKS[:3], CONCEPTS, 3, PICTURES, rng)
