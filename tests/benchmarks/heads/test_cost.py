from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")

from benchmarks.heads.cost import answer, text_of


@pytest.mark.parametrize("tokens", [10, 37, 60])
def test_a_text_is_as_long_as_it_may_be(tokens, decoder):
    text = text_of(decoder, tokens)
    assert decoder.encode([text])["input_ids"].shape[1] == tokens  # each word is one token here


def test_an_answer_has_the_tokens_that_are_asked_for(decoder):
    inputs = decoder.encode(["kill a process"])
    assert answer(decoder, inputs, 5).shape[1] == inputs["input_ids"].shape[1] + 5
