"""Guarded `generate`: refusals for flagged prompts, and for the others token for token what the bare model says."""

from __future__ import annotations

import pytest
import torch

from outrider.monitor import Status
from outrider.networks.transformers.importing import import_transformers
from outrider.runtime.generate import Refusals, guarded_generate

from ..tiny_chat import TEXTS, WordGuard, tiny_decoder, tiny_llava

SAFE, BAD = TEXTS[0], TEXTS[6]
MIXED = [TEXTS[1], BAD, TEXTS[5], TEXTS[0]]
PLAIN = Refusals().plain


def bare(decoder, inputs, **kwargs):
    return decoder.model.generate(**inputs, **kwargs)


def said(decoder, tokens):
    return decoder.processor.decode(tokens, skip_special_tokens=True)


def words(decoder, text):
    return said(decoder, decoder.processor(text, add_special_tokens=False)["input_ids"])


class Forwards:
    """The number of tokens that each forward of the model was given."""

    def __init__(self, model):
        self.model, self.tokens = model, []

    def __enter__(self):
        def count(_module, _args, kwargs):
            self.tokens.append(kwargs["input_ids"].shape[1])

        self.handle = self.model.register_forward_pre_hook(count, with_kwargs=True)
        return self.tokens

    def __exit__(self, *_):
        self.handle.remove()


@pytest.mark.parametrize("sampled", [False, True])
def test_answers_that_are_not_flagged_are_those_of_the_bare_model(decoder, guard, sampled):
    inputs = decoder.encode(MIXED)
    settings = {"max_new_tokens": 12, "do_sample": sampled} | ({"temperature": 1.7, "top_p": 0.95} if sampled else {})
    torch.manual_seed(5)
    expected = bare(decoder, inputs, **settings)
    torch.manual_seed(5)
    answer = guarded_generate(decoder.model, inputs, guard, **settings)
    assert [verdict.status for verdict in answer.verdicts] == [Status.OK, Status.ALARM, Status.OK, Status.OK]
    assert answer.refused == [False, True, False, False]
    length = min(expected.shape[1], answer.sequences.shape[1])
    for row in (0, 2, 3):
        torch.testing.assert_close(answer.sequences[row, :length], expected[row, :length], rtol=0, atol=0)
    assert answer.answers.shape[1] == answer.sequences.shape[1] - inputs["input_ids"].shape[1]
    assert said(decoder, answer.answers[1]) == words(decoder, PLAIN)
    tail = answer.answers[1, len(decoder.processor(PLAIN, add_special_tokens=False)["input_ids"]) :]
    ends = decoder.processor.eos_token_id, decoder.processor.pad_token_id
    assert tail.tolist() == [ends[0], *[ends[1]] * (len(tail) - 1)]


def test_the_prompt_goes_through_the_model_once(decoder, guard):
    inputs = decoder.encode([SAFE])
    with Forwards(decoder.model) as tokens:
        guarded_generate(decoder.model, inputs, guard, max_new_tokens=4, min_new_tokens=4)
    assert tokens == [inputs["input_ids"].shape[1], 1, 1, 1]
    assert len(guard.judged) == 1
    assert not decoder.model.model.layers[0]._forward_pre_hooks  # nothing watches the rest of the answer


def test_scores_of_rows_that_are_answered_are_untouched_bit_for_bit(decoder, guard):
    inputs = decoder.encode(MIXED)
    settings = {"max_new_tokens": 3, "return_dict_in_generate": True, "output_scores": True, "output_logits": True}
    expected = bare(decoder, inputs, **settings)
    answer = guarded_generate(decoder.model, inputs, guard, **settings)
    assert torch.equal(answer.output.scores[0][[0, 2, 3]], expected.scores[0][[0, 2, 3]])
    assert torch.equal(answer.output.logits[0], expected.logits[0])  # the refusal is forced in a copy
    assert torch.equal(answer.sequences, answer.output.sequences)


def test_padding_on_the_right_is_turned(decoder, guard):
    inputs = decoder.encode(MIXED)
    lengths = inputs["attention_mask"].sum(1).tolist()
    right = {name: value.clone() for name, value in inputs.items()}
    for row, length in enumerate(lengths):
        for value in right.values():
            value[row] = torch.roll(value[row], length)
    assert right["attention_mask"][:, -1].min() == 0
    expected = guarded_generate(decoder.model, inputs, guard, max_new_tokens=6)
    assert torch.equal(guarded_generate(decoder.model, right, guard, max_new_tokens=6).answers, expected.answers)


def test_a_mask_among_the_arguments_of_generate_counts(decoder, guard):
    inputs = decoder.encode(MIXED)
    expected = bare(decoder, inputs, max_new_tokens=6)
    mask = inputs.pop("attention_mask")
    answer = guarded_generate(decoder.model, inputs, guard, max_new_tokens=6, attention_mask=mask)
    assert answer.sequences[0, :24].tolist() == expected[0, :24].tolist()
    assert guard.judged[0].lengths.tolist() == mask.sum(1).tolist()


def test_a_batch_judges_and_answers_as_single_prompts_do(decoder, guard):
    batch = guarded_generate(decoder.model, decoder.encode(MIXED), guard, max_new_tokens=5, min_new_tokens=5)
    for row, prompt in enumerate(MIXED):
        alone = guarded_generate(decoder.model, decoder.encode([prompt]), guard, max_new_tokens=5, min_new_tokens=5)
        assert alone.verdicts[0].status == batch.verdicts[row].status
        assert torch.equal(alone.answers[0], batch.answers[row, : alone.answers.shape[1]])


def test_behind_a_refusal_the_model_may_go_on(decoder, guard):
    inputs = decoder.encode([BAD])
    prefix = decoder.processor(PLAIN, add_special_tokens=False, return_tensors="pt")["input_ids"]
    told = torch.cat([inputs["input_ids"], prefix], 1)
    expected = decoder.model.generate(told, attention_mask=torch.ones_like(told), max_new_tokens=5, min_new_tokens=5)
    total = prefix.shape[1] + 5
    answer = guarded_generate(decoder.model, inputs, guard, then="model", max_new_tokens=total, min_new_tokens=total)
    assert torch.equal(answer.sequences, expected)


def test_several_answers_to_a_prompt_share_its_verdict(decoder, guard):
    inputs = decoder.encode([SAFE, BAD])
    settings = {"max_new_tokens": 8, "do_sample": True, "num_return_sequences": 3, "temperature": 2.0}
    torch.manual_seed(0)
    expected = bare(decoder, inputs, **settings)
    torch.manual_seed(0)
    answer = guarded_generate(decoder.model, inputs, guard, prompts=[SAFE, BAD], **settings)
    assert answer.refused == [False, True]
    length = min(expected.shape[1], answer.sequences.shape[1])
    assert torch.equal(answer.sequences[:3, :length], expected[:3, :length])
    assert {said(decoder, row) for row in answer.answers[3:]} == {words(decoder, PLAIN)}


def test_a_streamer_gets_refusals_and_answers(decoder, guard):
    class Collected:
        def __init__(self):
            self.tokens, self.ended = [], False

        def put(self, value):
            self.tokens += value.reshape(-1).tolist()

        def end(self):
            self.ended = True

    for prompt in (SAFE, BAD):
        streamer = Collected()
        answer = guarded_generate(decoder.model, decoder.encode([prompt]), guard, max_new_tokens=9, streamer=streamer)
        assert streamer.tokens == answer.sequences[0].tolist()
        assert streamer.ended


def test_a_processor_of_the_users_own_comes_before_the_refusal(decoder, guard):
    token = decoder.processor.convert_tokens_to_ids("sea")

    def only_sea(_input_ids, scores):
        scores = torch.full_like(scores, -torch.inf)
        scores[:, token] = 0
        return scores

    answer = guarded_generate(
        decoder.model, decoder.encode([SAFE, BAD]), guard, max_new_tokens=3, logits_processor=[only_sea]
    )
    assert answer.answers[0].tolist() == [token] * 3
    assert said(decoder, answer.answers[1]).startswith("I cannot")


@pytest.mark.parametrize(("on_fault", "refused"), [("refuse", True), ("answer", False)])
def test_a_guard_that_raises_makes_a_fault_and_never_an_ok(decoder, on_fault, refused):
    broken = WordGuard(decoder, raises=FloatingPointError("no such number"))
    inputs = decoder.encode([SAFE, BAD])
    answer = guarded_generate(decoder.model, inputs, broken, on_fault=on_fault, max_new_tokens=14)
    assert [verdict.status for verdict in answer.verdicts] == [Status.FAULT, Status.FAULT]
    assert answer.verdicts[0].reason == "the guard raised FloatingPointError: no such number"
    assert answer.refused == [refused, refused]
    if refused:
        assert said(decoder, answer.answers[0]) == words(decoder, Refusals().unchecked)
    else:
        assert torch.equal(answer.sequences, bare(decoder, inputs, max_new_tokens=14))


def test_a_guard_with_too_few_verdicts_is_a_fault(decoder, guard):
    guard.judge = lambda _prefill: []
    answer = guarded_generate(decoder.model, decoder.encode([SAFE]), guard, max_new_tokens=2)
    assert answer.verdicts[0].status is Status.FAULT
    assert "expected 1 verdicts" in answer.verdicts[0].reason


def test_a_statistic_gets_the_prefill_that_it_needs_within_generate(decoder):
    """`full`, `exact` and `last_query` run on the captured prefill as on one of the decoder's own."""
    guard = WordGuard(decoder, keep=1)
    inputs = decoder.encode(MIXED)
    found = {}

    def judge(prefill):
        found.update(
            full=decoder.full(prefill, (1, 2)), exact=decoder.exact(prefill, (1, 2)), last=decoder.last_query(prefill)
        )
        return WordGuard.judge(guard, prefill)

    guard.judge = judge
    answer = guarded_generate(decoder.model, inputs, guard, max_new_tokens=6)
    assert answer.verdicts[0].status is Status.OK
    prefill = decoder.prefill(inputs, keep=1)
    assert abs(found["full"] - decoder.full(prefill, (1, 2))).max() < 1e-5
    assert abs(found["exact"] - found["full"]).max() < 1e-4
    assert abs(found["last"] - decoder.last_query(prefill)).max() < 1e-5
    expected = bare(decoder, inputs, max_new_tokens=6)
    assert torch.equal(answer.sequences[[0, 2, 3]], expected[[0, 2, 3], : answer.sequences.shape[1]])


def test_a_model_that_sees_answers_and_is_judged_as_without_generate():
    decoder, inputs = tiny_llava()
    guard, full = WordGuard(decoder), []

    def judge(prefill):
        full.append(decoder.full(prefill, (1, 2)))
        return WordGuard.judge(guard, prefill)

    guard.judge = judge
    expected = bare(decoder, inputs, max_new_tokens=6, min_new_tokens=6)
    answer = guarded_generate(decoder.model, inputs, guard, max_new_tokens=6, min_new_tokens=6)
    assert answer.verdicts[0].status is Status.OK
    assert torch.equal(answer.sequences, expected)
    assert abs(full[0] - decoder.full(decoder.prefill(inputs), (1, 2))).max() < 1e-5
    blind = bare(decoder, inputs | {"pixel_values": -inputs["pixel_values"]}, max_new_tokens=6, min_new_tokens=6)
    assert not torch.equal(blind, expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 2}, "num_beams=1, got 2"),
        ({"prompt_lookup_num_tokens": 2}, "drafted tokens"),
        ({"prefill_chunk_size": 4}, "no single prefill"),
        ({"cache_implementation": "static"}, "plain cache"),
        ({"use_cache": False}, "plain cache, which holds every position of the prompt, got use_cache=False"),
        ({"assistant_model": object()}, "no assistant_model"),
        ({"prompts": []}, "expected a prompt for each of 1 rows, got 0"),
        ({"then": "later"}, 'then="stop" or "model"'),
        ({"on_fault": "ignore"}, 'on_fault="refuse" or "answer"'),
    ],
)
def test_a_way_of_generating_without_room_for_a_guard_is_refused(decoder, guard, settings, message):
    with pytest.raises(ValueError, match=message):
        guarded_generate(decoder.model, decoder.encode([SAFE]), guard, max_new_tokens=2, **settings)


def test_another_model_and_a_cache_in_use_are_refused(decoder, guard):
    inputs = decoder.encode([SAFE])
    with pytest.raises(ValueError, match="expected the model that the guard reads"):
        guarded_generate(tiny_decoder(seed=1).model, inputs, guard, max_new_tokens=2)
    used = decoder.prefill(inputs).cache
    with pytest.raises(ValueError, match="expected an empty cache, got one of 11 tokens"):
        guarded_generate(decoder.model, inputs, guard, max_new_tokens=2, cache=used)
    fresh = import_transformers().DynamicCache()
    guarded_generate(decoder.model, inputs, guard, max_new_tokens=2, cache=fresh)
    assert fresh.get_seq_length() == 12


def test_a_refusal_needs_a_token_to_end_with(guard):
    endless = tiny_decoder(eos_token_id=None)
    own = WordGuard(endless)
    inputs = endless.encode([BAD])
    with pytest.raises(ValueError, match="expected an end-of-sequence token"):
        guarded_generate(endless.model, inputs, own, max_new_tokens=2)
    end = endless.processor.eos_token_id
    answer = guarded_generate(endless.model, inputs, own, max_new_tokens=20, eos_token_id=[end])
    assert answer.answers[0, -1] == end
