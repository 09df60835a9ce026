"""Remembered lower layers give what running them gives."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from benchmarks.studies.reasons.remembering import LowerLayers

ROWS = [[3, 7, 8, 9], [3, 7, 8], [3, 10, 11, 12, 13, 0]]


def padded(rows):
    longest = max(map(len, rows))
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": tokens, "attention_mask": mask}


@pytest.fixture
def lower(decoder):
    return LowerLayers(decoder.model, 2, 0, "float32")


def test_logits_are_those_of_the_whole_model(decoder, lower):
    given = padded(ROWS)
    with torch.no_grad():
        expected = decoder.model(**given).logits
        lower.learn(ROWS)
        with lower.remembered():
            found = decoder.model(**given, use_cache=False).logits
        again = decoder.model(**given).logits
    for place, row in enumerate(ROWS):
        end = len(row) - (row[-1] == 0)  # a last token that equals the padding has no place of its own
        torch.testing.assert_close(found[place, :end], expected[place, :end], rtol=1e-5, atol=1e-5)
    assert torch.equal(again, expected)


def test_the_lower_layers_do_not_run_inside(decoder, lower):
    lower.learn(ROWS)
    calls = []
    hooks = [layer.self_attn.register_forward_hook(lambda *_: calls.append(1)) for layer in decoder.backbone.layers]
    with lower.remembered(), torch.no_grad():
        decoder.model(**padded(ROWS), use_cache=False)
    for hook in hooks:
        hook.remove()
    assert len(calls) == 1  # of three layers


def test_a_row_that_was_not_learned_is_refused_and_the_model_left_as_it_was(decoder, lower):
    lower.learn(ROWS[:1])
    with pytest.raises(KeyError, match="rows that learn"), lower.remembered():
        decoder.model(**padded(ROWS), use_cache=False)
    assert "forward" not in decoder.model.get_input_embeddings().__dict__
    assert all("forward" not in layer.__dict__ for layer in decoder.backbone.layers)


def test_what_was_seen_is_not_run_again(decoder, lower):
    lower.learn(ROWS)
    decoder.model.forward = None
    lower.backbone = None
    lower.learn(ROWS[::-1])
    assert len(lower.seen) == 3
