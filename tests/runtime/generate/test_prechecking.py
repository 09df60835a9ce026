"""A check before `generate` that hands its cache on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from outrider.monitor import Status
from outrider.networks.transformers import Decoder
from outrider.runtime.generate import Refusals, precheck, refusal_prefix
from outrider.runtime.generate.judging import fault

from ...networks.transformers.conftest import IMAGE, SEEING, shaken
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


@pytest.mark.parametrize("name", ["qwen2-vl", "qwen2.5-vl"])
def test_positions_with_three_axes_are_those_of_the_prompt_itself(name):
    """These models remember an offset of the last prompt; another one in between must not change an answer."""
    model, pictures = SEEING[name]()
    decoder = Decoder(shaken(model))

    def prompt(count, more):
        ids = torch.tensor([[5, 97, *[IMAGE] * count, 11, 12, 13, 14]])
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == IMAGE).int(),
        } | more

    small, text = prompt(4, pictures), prompt(0, {})
    large = prompt(16, {"pixel_values": torch.ones(64, 96), "image_grid_thw": torch.tensor([[1, 8, 8]])})
    settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    guard = SimpleNamespace(decoder=decoder, keep=None, judge=lambda prefill: [fault("")] * len(prefill.lengths))
    for inputs in (small, text):
        expected = decoder.model.generate(**inputs, **settings)
        _, kwargs = precheck(guard, inputs)
        decoder.model.generate(**large, **settings)
        assert torch.equal(decoder.model.generate(**kwargs, **settings), expected)
