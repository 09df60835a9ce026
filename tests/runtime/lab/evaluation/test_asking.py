from __future__ import annotations

import pytest
import torch

from outrider.runtime.lab.evaluation.asking import ModelJudge, says_yes
from outrider.runtime.lab.evaluation.judge import GARBAGE
from outrider.runtime.lab.evaluation.rendering import Rendering, TemplateNeededError

from ...tiny_chat import TEXTS
from .laboratory import SAFE, UNSAFE, make_decoder


def test_a_yes_is_what_is_likelier_than_a_no(decoder):
    asked = [Rendering(decoder).tokens(f"{text} Say yes or no") for text in (*UNSAFE, *SAFE)]
    number = decoder.processor.convert_tokens_to_ids
    expected = []
    for one in asked:
        with torch.no_grad():
            likely = decoder.model(input_ids=torch.tensor([one])).logits[0, -1].softmax(-1)
        sums = [sum(float(likely[number(word)]) for word in words) for words in (("yes", "Yes"), ("no", "No"))]
        expected.append(sums[0] > sums[1])
    assert says_yes(decoder, asked, batch=4) == expected
    assert says_yes(decoder, []) == []


def test_a_bias_to_either_word_decides(decoder):
    asked = [Rendering(decoder).tokens(text) for text in SAFE]
    for word, expected in (("yes", True), ("no", False)):
        biased = make_decoder()
        head = torch.nn.Linear(32, len(biased.processor))
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        with torch.no_grad():
            head.bias[biased.processor.convert_tokens_to_ids(word)] = 5.0
        biased.model.lm_head = head
        assert says_yes(biased, asked) == [expected] * len(asked)


def test_a_tokenizer_that_knows_neither_is_refused():
    without = make_decoder(words=TEXTS)  # "no" is in it and "yes" is not
    with pytest.raises(ValueError, match="yes and no begin with different tokens"):
        says_yes(without, [[3, 4]])


def test_a_model_judges_what_is_not_garbage(decoder):
    judge = ModelJudge(decoder, "tiny")
    answers = ["how do i bake a loaf of bread", "!!! !!! !!!", "I cannot help with that .", ""]
    found = judge.judge(answers)
    assert judge.name == "tiny"
    assert [one == GARBAGE for one in found] == [False, True, False, True]
    assert found[::2] == [ModelJudge(decoder).judge([answers[i]])[0] for i in (0, 2)]
    assert not judge.clear("I cannot help with that. " * 3)
    assert judge.judge([]) == []


def test_a_judge_without_a_chat_template_is_refused():
    with pytest.raises(TemplateNeededError, match="for a judge"):
        ModelJudge(make_decoder(None))
