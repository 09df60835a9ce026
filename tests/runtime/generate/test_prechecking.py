"""A check before `generate` that hands its cache on."""

from __future__ import annotations

import pytest
import torch

from outrider.monitor import Status
from outrider.runtime.generate import Refusals, precheck, refusal_prefix

from ..tiny_chat import TEXTS, WordGuard, tiny_llava
from .test_generating import Forwards, said, words

MIXED = [TEXTS[1], TEXTS[6], TEXTS[5]]


def test_the_answer_goes_on_from_the_cache_of_the_check(decoder, guard):
    inputs = decoder.encode(MIXED)
    expected = decoder.model.generate(**inputs, max_new_tokens=8, min_new_tokens=8)
    verdicts, kwargs = precheck(guard, inputs)
    assert [verdict.status for verdict in verdicts] == [Status.OK, Status.ALARM, Status.OK]
    with Forwards(decoder.model) as tokens:
        found = decoder.model.generate(**kwargs, max_new_tokens=8, min_new_tokens=8)
    assert tokens == [1] * 8
    assert torch.equal(found, expected)


def test_the_refusal_drops_into_the_users_own_generate(decoder, guard):
    inputs = decoder.encode(MIXED)
    expected = decoder.model.generate(**inputs, max_new_tokens=14)
    verdicts, kwargs = precheck(guard, inputs)
    rules = Refusals({"weapons": ["bomb"]})
    found = decoder.model.generate(
        **kwargs, max_new_tokens=14, logits_processor=[refusal_prefix(guard, verdicts, MIXED, refusals=rules)]
    )
    start, length = inputs["input_ids"].shape[1], min(found.shape[1], expected.shape[1])
    assert said(decoder, found[1, start:]) == words(decoder, "This asks for weapons, so I cannot help with that.")
    assert torch.equal(found[[0, 2], :length], expected[[0, 2], :length])
    plain = refusal_prefix(guard, verdicts)
    assert [prefix is None for prefix in plain.prefixes] == [True, False, True]
    assert words(decoder, Refusals().plain) == said(decoder, plain.prefixes[1])


def test_a_guard_that_raises_makes_faults_and_the_cache_still_serves(decoder):
    broken = WordGuard(decoder, raises=RuntimeError("broken"))
    verdicts, kwargs = precheck(broken, decoder.encode(MIXED))
    assert [verdict.status for verdict in verdicts] == [Status.FAULT] * 3
    assert all(prefix is not None for prefix in refusal_prefix(broken, verdicts).prefixes)
    assert all(prefix is None for prefix in refusal_prefix(broken, verdicts, on_fault="answer").prefixes)
    assert decoder.model.generate(**kwargs, max_new_tokens=1).shape[0] == 3


def test_pictures_are_not_given_a_second_time():
    """The cache of a tiny LLaVA holds what the pictures became."""
    decoder, inputs = tiny_llava()
    model, pixels = decoder.model, inputs["pixel_values"]
    verdicts, kwargs = precheck(WordGuard(decoder), inputs)
    assert verdicts[0].status is Status.OK
    assert "pixel_values" not in kwargs
    expected = model.generate(**inputs, max_new_tokens=6, min_new_tokens=6)
    assert torch.equal(model.generate(**kwargs, max_new_tokens=6, min_new_tokens=6), expected)
    blind = model.generate(**inputs | {"pixel_values": -pixels}, max_new_tokens=6, min_new_tokens=6)
    assert not torch.equal(blind, expected)


def test_a_check_needs_inputs(decoder, guard):
    with pytest.raises(ValueError, match="input_ids"):
        precheck(guard, {})
