"""A check before `generate` that hands its cache on."""

from __future__ import annotations

import pytest
import torch

from outrider.monitor import Status
from outrider.networks.transformers import Decoder
from outrider.networks.transformers.importing import import_transformers
from outrider.runtime.generate import Refusals, precheck, refusal_prefix

from ..tiny_chat import TEXTS, WordGuard, tiny_tokenizer
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
    """A tiny LLaVA: the cache holds what the pictures became."""
    transformers = import_transformers()
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = transformers.LlavaConfig(
            text_config=transformers.LlamaConfig(
                **size, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
                pad_token_id=tokenizer.pad_token_id, initializer_range=0.3,
            ),
            vision_config=transformers.CLIPVisionConfig(**size, image_size=8, patch_size=4),
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=4,
        )  # fmt: skip
        model = transformers.LlavaForConditionalGeneration(config).eval()
        pixels = torch.randn(1, 3, 8, 8)
    decoder = Decoder(model, tokenizer)
    ids = tokenizer("<image>" * 4 + " what is the capital", return_tensors="pt", add_special_tokens=False)["input_ids"]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}
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
