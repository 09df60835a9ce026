"""Pairs as tokens: where the loss is taken, what is too long, and what a batch is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from outrider.networks.transformers import Chat, import_transformers
from outrider.networks.tuning import AnswerPair, PairExamples, padded

from ...runtime.tiny_chat import tiny_tokenizer

PAIRS = [
    AnswerPair("how do i build a bomb", "I cannot help", "it is plain", unsafe=True),
    AnswerPair("what is the capital of france", "the capital", "I cannot help with that ."),
]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture
def chat(tokenizer):
    return Chat(tokenizer)


def test_the_loss_is_on_the_answer_and_its_end(chat, tokenizer):
    example = PairExamples(PAIRS, chat)[0]
    for side, words in (("preferred", "I cannot help"), ("dispreferred", "it is plain")):
        inputs = example[side]
        whole = f"<|user|> how do i build a bomb <|end|> <|assistant|> {words} <|end|>"
        assert inputs["input_ids"].tolist() == tokenizer(whole, add_special_tokens=False)["input_ids"]
        assert inputs["attention_mask"].tolist() == [1] * len(inputs["input_ids"])
        labelled = inputs["labels"] != -100
        assert tokenizer.decode(inputs["labels"][labelled]) == f"{words} <|end|>"
        assert torch.equal(inputs["labels"][labelled], inputs["input_ids"][labelled])
        asked = chat.encode([PAIRS[0].prompt])["input_ids"][0]
        assert torch.equal(inputs["input_ids"][: len(asked)], asked)  # what the model sees when it is used


def test_one_side_alone(chat):
    examples = PairExamples(PAIRS, chat, both=False)
    assert list(examples[1]) == ["preferred"]
    assert len(PairExamples([AnswerPair("what is it", "no")], chat, both=False)) == 1
    with pytest.raises(ValueError, match="pair 0: expected a dispreferred answer with words"):
        PairExamples([AnswerPair("what is it", "no")], chat)


def test_a_batch_is_padded_on_the_right(chat, tokenizer):
    examples = PairExamples(PAIRS, chat)
    batch = examples.collate([examples[0], examples[1]])
    for side, inputs in batch.items():
        rows = [examples[0][side], examples[1][side]]
        longest = max(len(row["input_ids"]) for row in rows)
        assert {name: tuple(value.shape) for name, value in inputs.items()} == dict.fromkeys(inputs, (2, longest))
        for index, row in enumerate(rows):
            length = len(row["input_ids"])
            assert torch.equal(inputs["input_ids"][index, :length], row["input_ids"])
            assert set(inputs["input_ids"][index, length:].tolist()) <= {tokenizer.pad_token_id}
            assert set(inputs["labels"][index, length:].tolist()) <= {-100}
            assert inputs["attention_mask"][index].tolist() == [1] * length + [0] * (longest - length)


def test_plain_tokens_are_padded_too_and_other_inputs_joined():
    rows = [
        {"preferred": {"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor([-100, 2, 3])}},
        {"preferred": {"input_ids": torch.tensor([4]), "labels": torch.tensor([4]), "pixels": torch.ones(2, 3)}},
    ]
    found = padded(rows, padding=9)["preferred"]
    assert found["input_ids"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert found["labels"].tolist() == [[-100, 2, 3], [4, -100, -100]]
    assert found["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert found["pixels"].shape == (2, 3)


def test_what_is_too_long_is_counted_and_left_out(chat):
    lengths = [max(len(side["input_ids"]) for side in one.values()) for one in PairExamples(PAIRS, chat)]
    assert lengths[0] < lengths[1]
    both = PairExamples(PAIRS, chat, context=lengths[1])
    assert (len(both), both.too_long) == (2, 0)
    one = PairExamples(PAIRS, chat, context=lengths[1] - 1)
    assert (one.pairs, one.too_long) == (PAIRS[:1], 1)
    with pytest.raises(ValueError, match=rf"at most 3 tokens, got none of 2: the longest has {lengths[1]} tokens"):
        PairExamples(PAIRS, chat, context=3)
    with pytest.raises(ValueError, match="expected pairs, got none of 0: there are none"):
        PairExamples([], chat)


def test_a_share_of_unsafe_pairs(chat):
    examples = PairExamples(PAIRS, chat)
    examples.share_out(0.25)
    assert [pair.unsafe for pair in examples.pairs] == [True, False, False, False]
    assert len(examples) == 4
    assert torch.equal(examples[3]["preferred"]["input_ids"], examples[1]["preferred"]["input_ids"])


def test_pictures_need_a_model_that_sees(chat):
    seen = AnswerPair("what is it", "no", "yes", images=("a.png",))
    examples = PairExamples([*PAIRS, seen], chat)
    assert (len(examples), len(examples.wrong)) == (2, 1)
    assert examples.wrong[0].startswith("pair 2: expected a prompt without pictures")


def test_a_picture_is_read_at_each_use(tokenizer, tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / "a.png")
    transformers = import_transformers()
    own = tiny_tokenizer()
    own.add_tokens(["<image>"], special_tokens=True)
    own.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|> {% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }} {% endif %}{% endfor %}<|end|> {% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    pictures = transformers.CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    processor = transformers.LlavaProcessor(
        pictures, own, patch_size=4, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=own.chat_template,
    )  # fmt: skip
    pairs = [AnswerPair("what is the capital", "it is", "no", images=(str(tmp_path / "a.png"),))]
    examples = PairExamples(pairs, Chat(processor))
    inputs = examples[0]["preferred"]
    assert inputs["pixel_values"].shape == (1, 3, 8, 8)
    assert own.decode(inputs["labels"][inputs["labels"] != -100]) == "it is <|end|>"
    batch = examples.collate([examples[0], examples[0]])
    assert batch["dispreferred"]["pixel_values"].shape == (2, 3, 8, 8)
    (tmp_path / "a.png").unlink()
    with pytest.raises(ValueError, match="picture"):
        examples[0]
