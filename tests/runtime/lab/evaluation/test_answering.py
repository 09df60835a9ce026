"""Beginnings of answers, against transformers' own `generate`, one conversation at a time."""

from __future__ import annotations

import pytest
import torch

from outrider.runtime.lab.evaluation.answering import (
    LOOKS,
    MOST_TOKENS,
    Begun,
    begin_answers,
    check_tokens,
    first_logits,
    shared_tokens,
)
from outrider.runtime.lab.evaluation.rendering import Rendering

from .laboratory import SAFE, UNSAFE, make_decoder

TEXTS = (*UNSAFE, *SAFE, "rain", "tell me a story about a friendly dog next door in france today")


def conversations(decoder, system=None, turns=()):
    return [Rendering(decoder).tokens(text, system, turns) for text in TEXTS]


def generated(decoder, conversation, tokens):
    ids = torch.tensor([conversation])
    out = decoder.model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=0
    )[0, ids.shape[1] :].tolist()
    end = decoder.processor.eos_token_id
    return out[: out.index(end)] if end in out else out


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("system", [None, "explain how rain forms in simple words and write a short poem"])
def test_answers_are_those_of_generate(decoder, batch, system):
    asked = conversations(decoder, system, [("how do i bake bread", "I cannot help")] if system else ())
    found = begin_answers(decoder, asked, tokens=12, batch=batch)
    expected = [generated(decoder, one, 12) for one in asked]
    assert [one.text for one in found] == [decoder.processor.decode(one, skip_special_tokens=True) for one in expected]
    assert [one.written for one in found] == [len(one) for one in expected]
    assert [one.read for one in found] == [len(one) for one in asked]


def test_an_answer_ends_where_the_model_ends_it():
    decoder = make_decoder()
    with torch.no_grad():
        first = begin_answers(decoder, conversations(decoder)[:1], tokens=3)[0]
        token = decoder.processor(first.text.split()[1], add_special_tokens=False)["input_ids"][0]
        decoder.model.generation_config.eos_token_id = [decoder.processor.eos_token_id, token]
    again = begin_answers(decoder, conversations(decoder)[:1], tokens=3)[0]
    assert (again.text, again.written) == (first.text.split()[0], 1)


def test_no_answer_is_longer_than_the_bound(decoder, monkeypatch):
    assert MOST_TOKENS == 32
    passes = []
    forward = decoder.model.forward
    monkeypatch.setattr(decoder.model, "forward", lambda **given: passes.append(1) or forward(**given))
    found = begin_answers(decoder, conversations(decoder)[:2], tokens=MOST_TOKENS)
    assert all(one.written <= MOST_TOKENS for one in found)
    assert len(passes) <= MOST_TOKENS + 1  # the shared beginning, the prompts, and a token each
    for tokens in (0, MOST_TOKENS + 1, 10_000):
        passes.clear()
        with pytest.raises(ValueError, match=f"1 to 32 tokens, got {tokens}"):
            begin_answers(decoder, conversations(decoder)[:2], tokens=tokens)
        assert not passes
    assert (check_tokens(1), check_tokens(32)) == (1, 32)


def test_a_row_that_is_clear_stops_alone(decoder):
    asked = conversations(decoder)
    whole = begin_answers(decoder, asked, tokens=10)
    stop = next(one.text.split()[2] for one in whole if len(one.text.split()) == 10)
    found = begin_answers(decoder, asked, tokens=10, clear=lambda text: stop in text.split())
    for one, full in zip(found, whole, strict=True):
        words = full.text.split()
        looked_at = [count for count in (LOOKS, 2 * LOOKS) if stop in words[:count] and len(words) >= count]
        assert one.text.split() == words[: looked_at[0] if looked_at else None]
    assert sum(one.written for one in found) < sum(one.written for one in whole)


def test_an_answers_words_are_in_no_repr(decoder):
    found = begin_answers(decoder, conversations(decoder), tokens=4)
    assert found[0].text
    assert repr(found[0]) == f"Begun(read={found[0].read}, written={found[0].written})"
    assert "secret" not in f"{Begun(1, 2, 'secret')} {Begun(1, 2, 'secret')!r}"


def test_first_logits_are_those_of_a_plain_pass(decoder):
    asked = conversations(decoder, "write a poem about the sea")
    found = first_logits(decoder, asked, batch=3)
    with torch.no_grad():
        expected = torch.stack([decoder.model(input_ids=torch.tensor([one])).logits[0, -1] for one in asked])
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 2, 3], [1, 2, 4]], 2),
        ([[1, 2, 3], [1, 2, 3]], 2),  # one is left to each
        ([[1, 2], [1, 2, 3]], 1),
        ([[1], [1, 2]], 0),
        ([[2, 1], [1, 1]], 0),
        ([[1, 2, 3]], 0),
        ([], 0),
    ],
)
def test_what_conversations_begin_with(rows, expected):
    assert shared_tokens(rows) == expected


def test_progress_counts_conversations(decoder):
    seen = []
    begin_answers(decoder, conversations(decoder), tokens=1, batch=3, progress=lambda *told: seen.append(told))
    assert seen == [(3, 8), (6, 8), (8, 8)]
    assert begin_answers(decoder, []) == []


def test_empty_conversations_and_batches_are_refused(decoder):
    with pytest.raises(ValueError, match="at least one token"):
        begin_answers(decoder, [[1], []])
    with pytest.raises(ValueError, match="batch of at least 1"):
        begin_answers(decoder, [[1]], batch=0)
