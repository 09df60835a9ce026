from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.heads.testbed import cases, model
from benchmarks.heads.testbed.concepts import CONCEPTS, TASKS, Pair
from outrider.networks.transformers import Prompt


@pytest.fixture
def plain(things):
    pairs = [Pair(TASKS[i], CONCEPTS[i], i % 3) for i in range(11)]
    return cases.plain(pairs, things)


def test_soft_tokens_stand_where_words_at_the_questions_end_would(decoder, plain):
    case = plain[0]
    ids = decoder.processor.tokenizer("dog bomb")["input_ids"]
    soft = decoder.model.get_input_embeddings().weight[ids]
    as_soft = cases.inputs_of(decoder, [replace(case, soft=soft)])
    in_words = decoder.encode([Prompt(case.text + " dog bomb", case.prompt.images)])
    found, expected = decoder.prefill(as_soft), decoder.prefill(in_words)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    assert abs(expected.logits - decoder.prefill(decoder.encode([case.prompt])).logits).max() > 1e-3


def test_every_case_is_in_one_batch_and_gives_what_it_gives_alone(decoder, plain):
    soft = torch.full((2, 32), 0.1)
    mixed = [replace(case, soft=soft) if i % 3 == 0 else case for i, case in enumerate(plain)]
    seen = []
    for places, inputs in cases.batches(decoder, mixed):
        together = decoder.prefill(inputs).logits
        for row, place in zip(together, places, strict=True):
            alone = decoder.prefill(cases.inputs_of(decoder, [mixed[place]])).logits[0]
            np.testing.assert_allclose(row, alone, atol=1e-5)
        seen += places
    assert sorted(seen) == list(range(11))


def test_the_likeliest_first_token_tells_the_outcome(decoder):
    tokenizer = decoder.processor.tokenizer
    logits = np.zeros((3, len(tokenizer)))
    for row, word in enumerate(("Here", "Sorry", "dog")):
        logits[row, tokenizer(word)["input_ids"][0]] = 1
    assert cases.outcomes(decoder, logits).tolist() == ["answered", "refused", "other"]


@pytest.mark.parametrize("soft", [None, torch.full((2, 32), 0.1)])
def test_an_answer_is_about_the_likeliest_concept_behind_its_beginning(decoder, plain, soft):
    some = [replace(case, soft=soft) for case in plain[:3]]
    found = cases.told_of(decoder, cases.inputs_of(decoder, some), CONCEPTS, "Here is how to make the")
    tokenizer = decoder.processor.tokenizer
    words = [tokenizer(c.word)["input_ids"][0] for c in CONCEPTS]
    start = tokenizer("Here is how to make the", return_tensors="pt")["input_ids"]
    for case, place in zip(some, found, strict=True):
        inputs = cases.with_soft(decoder, decoder.encode([case.prompt]), torch.empty(1, 0, 32))["inputs_embeds"]
        if soft is not None:
            inputs = torch.cat([inputs[:, :-3], soft[None], inputs[:, -3:]], 1)  # the turn's end, the role's beginning
        whole = torch.cat([inputs, decoder.model.get_input_embeddings()(start)], 1)
        with torch.no_grad():
            assert int(decoder.model(inputs_embeds=whole).logits[0, -1, words].argmax()) == place


def test_soft_tokens_leave_the_picture_in_its_place(decoder, plain):
    inputs = cases.inputs_of(decoder, [plain[0]])
    given = cases.with_soft(decoder, inputs, torch.zeros(1, 2, 32))["inputs_embeds"]
    seen = model.soft_tokens(decoder.model, inputs["pixel_values"])[0]
    places = (inputs["input_ids"][0] == decoder.model.config.image_token_id).nonzero()[:, 0]
    torch.testing.assert_close(given[0, places], seen)
