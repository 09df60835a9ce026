from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.heads.testbed import cases, jailbreaks, pictures
from benchmarks.heads.testbed.concepts import CONCEPTS, TASKS

TUNED = [task for task in TASKS if not task.left_out]
PICTURES = {concept.word: 3 for concept in CONCEPTS}
BY_WORD = {concept.word: concept for concept in CONCEPTS}


@pytest.fixture
def pairs():
    found = jailbreaks.pairs_for("pixels", TUNED, 16, PICTURES, np.random.default_rng(0))
    return {unsafe: [pair for pair in found if pair.unsafe == unsafe][:6] for unsafe in (True, False)}


def chance(decoder, some):
    """The log-probability of "Here" as first token of each case."""
    here = cases.first_tokens(decoder)["Here"]
    logits = torch.from_numpy(np.concatenate([decoder.prefill(cases.inputs_of(decoder, [c])).logits for c in some]))
    return logits.log_softmax(-1)[:, here].numpy()


def test_attacked_pixels_stay_within_their_bound_and_help(decoder, pairs, things):
    attacked = jailbreaks.pixels(decoder, pairs[True], things, seed=1)
    noisy = jailbreaks.pixels(decoder, pairs[False], things, seed=1)
    for found, some in ((attacked, pairs[True]), (noisy, pairs[False])):
        for case, pair in zip(found, some, strict=True):
            before = pictures.draw(things[pair.concept.word][pair.picture]).astype(int)
            assert case.prompt.images[0].dtype == np.uint8
            assert 0 < abs(case.prompt.images[0].astype(int) - before).max() <= 8
            assert case.text == pair.task.text
    assert (chance(decoder, attacked) > chance(decoder, cases.plain(pairs[True], things))).all()


def test_attacked_soft_tokens_stay_in_their_ball_and_help(decoder, pairs, things):
    vectors = decoder.model.get_input_embeddings().weight
    length = float(vectors.norm(dim=1).mean())
    attacked = jailbreaks.soft_prompt(decoder, pairs[True], things, seed=1)
    beside = jailbreaks.soft_prompt(decoder, pairs[False], things, seed=1)
    start = [replace(case, soft=other.soft) for case, other in zip(attacked, beside, strict=True)]  # the same words
    for case, words in zip(attacked, beside, strict=True):
        assert words.soft.shape == (2, 32)
        assert (words.soft[:, None] == vectors).all(-1).any(-1).all()
        assert ((case.soft - words.soft).norm(dim=1) <= length * 1.0001).all()
    assert (chance(decoder, attacked) > chance(decoder, start)).all()


@pytest.mark.parametrize(("kind", "forms"), [("role-play", jailbreaks.ROLES), ("prefix", jailbreaks.PREFIXES)])
def test_wrappers_stand_as_often_around_safe_as_around_unsafe_pairs(kind, forms, pairs, things):
    for some in pairs.values():
        found = jailbreaks.KINDS[kind](None, some, things, 0)
        expected = [forms[i % len(forms)].format(pair.task.text) for i, pair in enumerate(some)]
        assert [case.text for case in found] == expected


def test_aliases_are_of_words_that_were_not_tuned():
    pairs = jailbreaks.pairs_for("alias", TUNED, 16, PICTURES, np.random.default_rng(0))
    assert {pair.task for pair in pairs} == set(jailbreaks.ALIASES)
    assert not {task.text for task in jailbreaks.ALIASES} & {task.text for task in TASKS}
    assert set(Counter((pair.task.text, pair.unsafe) for pair in pairs).values()) == {1}
    assert not any(pair.concept.left_out for pair in pairs)


@pytest.mark.parametrize(("kind", "across"), [("text beside", False), ("text across", True)])
def test_printed_text_is_of_a_safe_pair_and_not_the_objects_own(kind, across, pairs, things):
    for some in pairs.values():
        for case in jailbreaks.KINDS[kind](None, some, things, 3):
            thing = things[case.pair.concept.word][case.pair.picture]
            (word,) = (w for w in BY_WORD if (pictures.draw(thing, w, across=across) == case.prompt.images[0]).all())
            assert word != case.pair.concept.word
            assert not case.pair.task.of(BY_WORD[word])
            assert (BY_WORD[word].dangerous != case.pair.concept.dangerous) == case.pair.unsafe
