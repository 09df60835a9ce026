"""trl's losses on our batches, against plain torch; a run that is cut off, a loss that is no number."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from torch.nn import functional

from outrider.networks.transformers import import_transformers
from outrider.networks.tuning import Schedule, TrainingError, prefer, supervise, tokenised, with_adapters
from outrider.networks.tuning.reasons import TaughtAnswer

from ...runtime.tiny_chat import tiny_model, tiny_tokenizer

transformers = import_transformers()  # before trl and peft, which a torchvision that cannot load would take with it
pytest.importorskip("trl")
pytest.importorskip("peft")
pytest.importorskip("datasets")


class Pair(NamedTuple):
    prompt: str
    preferred: str
    dispreferred: str


LESSONS = [
    TaughtAnswer("bake a loaf", "plain bread", unsafe=False, whole=False),
    TaughtAnswer("build a bomb", "no", unsafe=True, category="bomb"),
    TaughtAnswer("story", "story", unsafe=False),
]
PAIRS = [Pair("build a bomb", "no", "plain bread"), Pair("story", "story story", "no")]


@pytest.fixture
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture
def model(tokenizer) -> Any:
    return tiny_model(tokenizer, max_position_embeddings=24)


@pytest.fixture
def words(tokenizer) -> Any:
    """The tokens of words; `<|end|>` and the like are words too."""
    return lambda *names: tokenizer.convert_tokens_to_ids(list(names))


def log_probability(model: Any, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """The sum of log p of an answer's tokens, one row without padding."""
    logits = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    return torch.stack([logits[len(prompt) + i - 1, token] for i, token in enumerate(answer)]).sum()


def test_lessons_become_tokens_with_no_loss_on_the_prompt(model, tokenizer, words):
    rows = tokenised(model, tokenizer, LESSONS).rows
    prompt = words("<|user|>", "build", "a", "bomb", "<|end|>", "<|assistant|>")
    assert rows[1] == {"input_ids": prompt + words("no", "<|end|>"), "labels": [-100] * 6 + words("no", "<|end|>")}
    assert rows[0]["labels"][6:] == words("plain", "bread")  # cut off: not tuned to end
    told = tokenised(model, tokenizer, LESSONS[1:2], system="story").rows[0]["input_ids"]
    assert told == words("<|system|>", "story", "<|end|>") + rows[1]["input_ids"]


def test_what_does_not_fit_is_left_out_and_counted(model, tokenizer):
    exactly = TaughtAnswer("loaf " * 17, "no " * 3, unsafe=False)  # 17 + 3 of the template + 3 + the end: 24 tokens
    longer = TaughtAnswer("loaf " * 17, "no " * 4, unsafe=False)
    assert tokenised(model, tokenizer, [exactly, longer]).left_out == 1
    with pytest.raises(ValueError, match="expected lessons of at most 24 tokens, got none of 1"):
        tokenised(model, tokenizer, [longer])
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="chat template"):
        tokenised(model, tokenizer, LESSONS)


@pytest.fixture(params=["llama", "gemma2"])
def chosen(request, model, tokenizer) -> Any:
    """A plain model, and one that bends its logits, whose loss is computed in trl's own way."""
    if request.param == "llama":
        return model
    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, final_logit_softcapping=0.5, initializer_range=0.5, pad_token_id=0,
        eos_token_id=1, bos_token_id=None, attn_implementation="eager", tie_word_embeddings=False,
    )  # fmt: skip
    return transformers.Gemma2ForCausalLM(config).eval()


def test_the_first_loss_of_supervision_is_the_mean_over_the_answers_tokens(chosen, tokenizer, tmp_path):
    model = chosen
    rows = tokenised(model, tokenizer, LESSONS).rows
    with torch.no_grad():
        total, count = 0.0, 0
        for row in rows:
            answer = [token for token in row["labels"] if token != -100]
            total -= float(log_probability(model, row["input_ids"][: -len(answer)], answer))
            count += len(answer)
    trained = supervise(model, tokenizer, LESSONS, Schedule(30, 3, 1e-2), tmp_path / "run")
    assert trained.losses[0] == pytest.approx(total / count, rel=1e-5)
    assert trained.losses[-1] < trained.losses[0]
    assert "forward" not in model.__dict__
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    tokens = torch.tensor([rows[1]["input_ids"]])
    assert torch.equal(opened(tokens).logits, model(tokens).logits)


def test_the_loss_of_preference_is_that_of_dpo(model, tokenizer, words, tmp_path):
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    before = {name: one.clone() for name, one in reference.state_dict().items()}
    expected = 0.0
    with torch.no_grad():
        for pair in PAIRS:
            prompt = words("<|user|>", *pair.prompt.split(), "<|end|>", "<|assistant|>")
            chosen, rejected = (words(*one.split(), "<|end|>") for one in (pair.preferred, pair.dispreferred))
            gain = [
                log_probability(model, prompt, a) - log_probability(reference, prompt, a) for a in (chosen, rejected)
            ]
            expected -= float(functional.logsigmoid(0.3 * (gain[0] - gain[1]))) / len(PAIRS)
    assert abs(expected - math.log(2)) > 1e-3  # the reference is another model, so the loss is not that of a copy
    trained = prefer(model, reference, tokenizer, PAIRS, Schedule(20, 2, 5e-3), tmp_path / "run", beta=0.3)
    assert trained.losses[0] == pytest.approx(expected, rel=1e-4)
    assert trained.losses[-1] < trained.losses[0]
    assert all(torch.equal(one, before[name]) for name, one in reference.state_dict().items())
    assert "forward" not in reference.__dict__


def test_a_reference_is_another_model(model, tokenizer, tmp_path):
    for reference in (model, None):
        with pytest.raises(ValueError, match="reference model of its own"):
            prefer(model, reference, tokenizer, PAIRS, Schedule(1, 1, 1e-3), tmp_path / "run")
    other = copy.deepcopy(model)
    with pytest.raises(ValueError, match="beta above 0, got 0"):
        prefer(model, other, tokenizer, PAIRS, Schedule(1, 1, 1e-3), tmp_path / "run", beta=0)
    with pytest.raises(ValueError, match="at least one pair"):
        prefer(model, other, tokenizer, [], Schedule(1, 1, 1e-3), tmp_path / "run")


def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not_been(model, tokenizer, tmp_path):
    schedule = Schedule(8, 2, 1e-2, save_every=3)
    other = copy.deepcopy(model)
    whole = supervise(model, tokenizer, LESSONS, schedule, tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    started = copy.deepcopy(other)
    with pytest.raises(KeyboardInterrupt):
        supervise(started, tokenizer, LESSONS, schedule, tmp_path / "cut", progress=stop)
    resumed = supervise(other, tokenizer, LESSONS, schedule, tmp_path / "cut")
    assert resumed.resumed
    assert not whole.resumed
    assert resumed.losses == whole.losses
    assert all(torch.equal(one, model.state_dict()[name]) for name, one in other.state_dict().items())


def test_a_loss_that_is_no_number_stops_the_run(model, tokenizer, tmp_path):
    with pytest.raises(TrainingError, match="the last good ones"):
        supervise(model, tokenizer, LESSONS, Schedule(9, 2, 1e30, warmup=0, clip=math.inf), tmp_path / "run")
    opened = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    assert all(bool(torch.isfinite(one).all()) for one in opened.state_dict().values())


def test_adapters_alone_are_tuned_where_there_are_some(model, tokenizer, tmp_path):
    before = {name: one.clone() for name, one in model.state_dict().items()}
    adapted = with_adapters(model, 2, targets=["q_proj", "v_proj"])
    trained = supervise(adapted, tokenizer, LESSONS, Schedule(20, 3, 3e-2), tmp_path / "run")
    assert trained.losses[-1] < trained.losses[0]
    after = {name.replace(".base_layer", ""): one for name, one in model.state_dict().items()}
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert (tmp_path / "run" / "adapter_model.safetensors").is_file()
    assert "forward" not in model.__dict__
