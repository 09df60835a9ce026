"""The logits processors, called by hand and by the user's own `generate`."""

from __future__ import annotations

import pytest
import torch

from outrider.monitor import Status
from outrider.runtime.generate import GuardProcessor, RefusalPrefix, Refusals
from outrider.runtime.generate.processors import tokenizer_of, tokens_of

from ..tiny_chat import TEXTS, WordGuard

SAFE, BAD = TEXTS[0], TEXTS[6]


def ids(rows, length):
    return torch.zeros(rows, length, dtype=torch.long)


def test_a_prefix_is_forced_token_by_token_then_the_end():
    processor = RefusalPrefix([None, [3, 1]], end=4)
    scores = torch.arange(10.0).reshape(2, 5)
    for step, token in enumerate([3, 1, 4, 4]):
        forced = processor(ids(2, 7 + step), scores)
        assert torch.equal(forced[0], scores[0])
        assert forced[1].isfinite().nonzero().tolist() == [[token]]
    assert torch.equal(scores, torch.arange(10.0).reshape(2, 5))  # those of the caller stay


def test_scores_are_the_same_object_where_nothing_is_forced():
    scores = torch.ones(2, 5)
    assert RefusalPrefix([None, None], end=4)(ids(2, 7), scores) is scores
    then_free = RefusalPrefix([[3], None], end=None)
    assert then_free(ids(2, 7), scores) is not scores
    assert then_free(ids(2, 8), scores) is scores


def test_rows_of_another_number_are_refused():
    with pytest.raises(ValueError, match="expected 2 rows as there are prefixes, got 6"):
        RefusalPrefix([None, [1]], end=4)(ids(6, 7), torch.ones(6, 5))


def test_in_the_users_own_generate(decoder, guard):
    end, inputs = decoder.processor.eos_token_id, decoder.encode([SAFE, BAD])
    with decoder.watching() as watch:
        processor = GuardProcessor(guard, watch, end=end, refusals=Refusals({"weapons": ["bomb"]}))
        found = decoder.model.generate(**inputs, max_new_tokens=14, logits_processor=[processor])
    expected = decoder.model.generate(**inputs, max_new_tokens=14)
    length = min(found.shape[1], expected.shape[1])
    assert torch.equal(found[0, :length], expected[0, :length])
    assert [verdict.status for verdict in processor.verdicts] == [Status.OK, Status.ALARM]
    assert processor.refusals == [None, "This asks for weapons, so I cannot help with that."]  # by the decoded prompt
    assert processor.prompt_length == inputs["input_ids"].shape[1]


def test_a_prompt_that_was_not_watched_is_a_fault(decoder, guard):
    with decoder.watching() as watch:
        pass
    processor = GuardProcessor(guard, watch, end=decoder.processor.eos_token_id)
    decoder.model.generate(**decoder.encode([SAFE]), max_new_tokens=2, logits_processor=[processor])
    assert processor.verdicts[0].status is Status.FAULT
    assert "not seen" in processor.verdicts[0].reason
    assert not guard.judged


def test_a_prefill_padded_on_the_right_is_a_fault(decoder, guard):
    """`generate` warns of it only; the last position is then no token of the prompt."""
    inputs = {name: value.flip(1) for name, value in decoder.encode([SAFE, "rain"]).items()}
    with decoder.watching() as watch:
        decoder.model(**inputs)
        processor = GuardProcessor(guard, watch, end=1)
        processor(inputs["input_ids"], torch.zeros(2, 99))
    assert [verdict.status for verdict in processor.verdicts] == [Status.FAULT] * 2
    assert "padded on the left" in processor.verdicts[0].reason


def test_a_watch_that_saw_another_prompt_is_a_fault(decoder, guard):
    """A second `generate` inside of one `watching` must not get the verdict of the first."""
    found = []
    with decoder.watching() as watch:
        for text in (SAFE, BAD):
            processor = GuardProcessor(guard, watch, end=decoder.processor.eos_token_id)
            decoder.model.generate(**decoder.encode([text]), max_new_tokens=2, logits_processor=[processor])
            found.append(processor.verdicts[0])
    assert [verdict.status for verdict in found] == [Status.OK, Status.FAULT]
    assert "another prompt" in found[1].reason


def test_a_processor_serves_one_call_of_generate(decoder, guard):
    with decoder.watching() as watch:
        processor = GuardProcessor(guard, watch, end=decoder.processor.eos_token_id)
        decoder.model.generate(**decoder.encode([SAFE]), max_new_tokens=2, logits_processor=[processor])
        with pytest.raises(ValueError, match="a new logits processor for each"):
            decoder.model.generate(**decoder.encode([BAD]), max_new_tokens=2, logits_processor=[processor])
    prefix = RefusalPrefix([[3]], end=4)
    prefix(ids(1, 7), torch.ones(1, 5))
    with pytest.raises(ValueError, match="got a second one"):
        prefix(ids(1, 8) + 1, torch.ones(1, 5))  # as long as the next step, but of another prompt


def test_a_refusal_needs_an_end_unless_the_model_goes_on(guard):
    with pytest.raises(ValueError, match="end-of-sequence"):
        GuardProcessor(guard, None)
    GuardProcessor(guard, None, then="model")


def test_tokens_come_from_the_tokenizer_of_a_processor(decoder):
    class Processor:
        tokenizer = decoder.processor

    assert tokenizer_of(Processor()) is decoder.processor
    assert tokens_of(decoder.processor, None) is None
    assert decoder.processor.decode(tokens_of(decoder.processor, "the sea")) == "the sea"
    assert WordGuard(decoder).judged == []
