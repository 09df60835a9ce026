"""Short answers in batches, against transformers' own generation, one prompt at a time."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.transformers import Decoder
from outrider.networks.tuning.reasons import written

from ....runtime.tiny_chat import tiny_decoder

PAD, END = 0, 1
SEED = 25  # of a model whose answers end at different places

PROMPTS = [
    "how do i bake a loaf of bread", "story", "rain in words", "the sea", "a short poem about rob", "dog",
    "where is the nearest library today simple words",
]  # fmt: skip


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return tiny_decoder(seed=SEED)


def reference(decoder: Decoder, prompt: str, count: int) -> list[int]:
    given: dict[str, Any] = decoder.encode([prompt])
    with torch.no_grad():
        out = decoder.model.generate(**given, max_new_tokens=count, do_sample=False, pad_token_id=PAD)
    return out[0, given["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_answers_are_those_of_generation_one_at_a_time(decoder, batch):
    found = written(decoder, PROMPTS, 12, batch=batch)
    lengths = set()
    for prompt, answer in zip(PROMPTS, found, strict=True):
        tokens = reference(decoder, prompt, 12)
        assert answer.text == decoder.processor.decode([token for token in tokens if token != END])
        assert answer.whole is (tokens[-1] == END)
        assert answer.tokens == len(tokens)
        lengths.add(len(tokens))
    assert len(lengths) > 1  # some end before others, so that rows leave their batch


def test_an_answer_stops_where_it_is_enough(decoder):
    full = written(decoder, PROMPTS, 12)
    word = full[0].text.split()[2]
    cut = written(decoder, PROMPTS, 12, enough=lambda text: word in text.split())
    for one, whole in zip(cut, full, strict=True):
        said = whole.text.split()
        expected = said[: said.index(word) + 1] if word in said else said
        assert one.text.split() == expected


def test_progress_and_bounds(decoder):
    seen = []
    written(decoder, PROMPTS, 1, batch=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert written(decoder, [], 3) == []
    for tokens, batch in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="at least 1 token and 1 prompt"):
            written(decoder, PROMPTS, tokens, batch=batch)
