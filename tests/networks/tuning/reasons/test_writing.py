"""Short answers in batches, against transformers' own generation, one prompt at a time."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.transformers import Decoder, import_transformers
from outrider.networks.tuning.reasons import written

transformers = import_transformers()
WORDS = ("<pad>", "<s>", "</s>", "<unk>", "user", "assistant", *"abcdefghijklmnopqrstuvwxyz")
TEMPLATE = (
    "{% for message in messages %}<s> {{ message['role'] }} {{ message['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant {% endif %}"
)
PROMPTS = ["a b c d e f g", "h", "i j k", "l m", "n o p q r", "s", "t u v w x y z a b"]


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    tokenizers = pytest.importorskip("tokenizers")
    raw = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    raw.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", chat_template=TEMPLATE
    )
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.4)
    return Decoder(model, tokenizer)


def reference(decoder: Decoder, prompt: str, count: int) -> list[int]:
    given: dict[str, Any] = decoder.encode([prompt])
    with torch.no_grad():
        out = decoder.model.generate(**given, max_new_tokens=count, do_sample=False, pad_token_id=0)
    return out[0, given["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_answers_are_those_of_generation_one_at_a_time(decoder, batch):
    found = written(decoder, PROMPTS, 12, batch=batch)
    lengths = set()
    for prompt, answer in zip(PROMPTS, found, strict=True):
        tokens = reference(decoder, prompt, 12)
        assert answer.text == decoder.processor.decode([token for token in tokens if token != 2])
        assert answer.whole is (tokens[-1] == 2)
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
