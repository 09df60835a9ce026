"""Prompts of a tiny chat model as inputs; tuned models and adapters opened beside it."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.networks.transformers import Decoder  # noqa: E402
from outrider.runtime.lab.analysis import open_bare, open_tuned, prompt_inputs, refusing  # noqa: E402

from ...tiny_chat import TEXTS, tiny_decoder, tiny_model, tiny_tokenizer  # noqa: E402

PROMPTS = [{"prompt": text} for text in TEXTS[:3]]


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


def test_a_prompt_ends_at_its_last_token(decoder):
    inputs, left_out = prompt_inputs(decoder, PROMPTS)
    encoded = decoder.encode(PROMPTS)
    assert left_out == []
    assert inputs.tokens.tolist() == encoded["input_ids"].tolist()
    assert inputs.last.tolist() == [encoded["input_ids"].shape[1] - 1] * 3
    assert decoder.processor.decode(int(inputs.tokens[0, -1])) == "<|assistant|>"


def test_outputs_are_what_the_base_says_of_itself(decoder):
    inputs, _ = prompt_inputs(decoder, PROMPTS, outputs=4, batch=2)
    bare, _ = prompt_inputs(decoder, PROMPTS)
    assert inputs.last.tolist() == bare.last.tolist()
    end = int(bare.last[0]) + 1
    assert inputs.tokens[:, :end].tolist() == bare.tokens.tolist()
    assert inputs.places(4).shape == (3, 4)
    for row in range(3):
        ids = bare.tokens[row][bare.mask[row].bool()]
        for token in inputs.tokens[row, end:]:
            with torch.no_grad():
                scores = decoder.model(ids[None]).logits[0, -1]
            scores[decoder.processor.eos_token_id] = -torch.inf
            assert int(token) == int(scores.argmax())
            ids = torch.cat([ids, token[None]])


def test_prompts_that_cannot_be_measured_are_left_out_and_counted(decoder):
    long = {"prompt": " ".join(["bomb"] * 70)}
    near = {"prompt": " ".join(["bomb"] * (decoder.context - len(decoder.encode(["bomb"])["input_ids"][0])))}
    inputs, left_out = prompt_inputs(decoder, [*PROMPTS, long, long, {"prompt": "  "}, near], outputs=4)
    assert len(inputs) == 3
    assert [said.split(":")[0] for said in left_out] == ["2 prompts", "1 prompt", "1 prompt"]
    assert "at most 61 tokens before 4 outputs" in left_out[2]
    assert len(prompt_inputs(decoder, [near])[0]) == 1
    with pytest.raises(ValueError, match=r"none.*2 prompts"):
        prompt_inputs(decoder, [long, long])
    for outputs in (0, 33):
        with pytest.raises(ValueError, match="1 to 32 output positions"):
            prompt_inputs(decoder, PROMPTS, outputs=outputs)


def test_pictures_are_left_out(decoder):
    with pytest.raises(ValueError, match="without pictures"):
        prompt_inputs(decoder, [{"prompt": "what is this", "images": ["a.png"]}])


def test_a_model_without_a_chat_template_is_refused():
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="chat template"):
        prompt_inputs(Decoder(model, tokenizer), PROMPTS)


class Echo(torch.nn.Module):
    """Generates given texts, row by row, and remembers how it was asked."""

    def __init__(self, tokenizer, texts):
        super().__init__()
        self.rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        self.asked = []

    def generate(self, tokens, **how):
        self.asked.append(how)
        said = [self.rows.pop(0) for _ in range(len(tokens))]
        longest = max(map(len, said))
        padded = [row + [how["pad_token_id"]] * (longest - len(row)) for row in said]
        return torch.cat([tokens, torch.tensor(padded)], 1)


def test_refusals_are_judged_and_nothing_else_is_kept(decoder):
    inputs, _ = prompt_inputs(decoder, PROMPTS)
    rates = refusing(decoder, {"unsafe": inputs}, tokens=7, batch=2)
    echo = Echo(
        decoder.processor, ["I cannot help with that .", "write a short poem about the sea", "bomb bomb bomb bomb"]
    )
    assert rates(echo) == {"unsafe": {"refused": 1 / 3, "garbage": 1 / 3}}
    assert [how["max_new_tokens"] for how in echo.asked] == [7, 7]
    assert set(rates(decoder.model)["unsafe"]) == {"refused", "garbage"}
    for tokens in (0, 33):
        with pytest.raises(ValueError, match="1 to 32 tokens"):
            refusing(decoder, {"unsafe": inputs}, tokens=tokens)


def test_whole_models_open_with_or_without_a_tokenizer(decoder, tmp_path):
    other = tiny_model(decoder.processor, seed=5)
    other.save_pretrained(tmp_path / "bare")
    other.save_pretrained(tmp_path / "whole")
    decoder.processor.save_pretrained(tmp_path / "whole")
    for model in (open_bare(tmp_path / "bare"), *(open_tuned(decoder, tmp_path / name) for name in ("bare", "whole"))):
        assert torch.equal(model.lm_head.weight, other.lm_head.weight)
        assert not model.training


def test_another_vocabulary_is_refused(decoder, tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["another"])
    tiny_model(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="vocabulary of the base"):
        open_tuned(decoder, tmp_path)


def test_folders_that_are_no_models_are_refused(decoder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        open_tuned(decoder, tmp_path)
    with pytest.raises(FileNotFoundError):
        open_tuned(decoder, tmp_path / "nothing")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="expected a model that transformers can open"):
        open_bare(tmp_path)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft 0.21 asks by that name
def test_adapters_are_put_on_a_copy_and_merged_and_those_of_other_weights_refused(decoder, tmp_path):
    pytest.importorskip("peft")
    from outrider.networks.tuning import Schedule, TrainingError, train, with_adapters

    before = copy.deepcopy(decoder.model.state_dict())
    adapted = with_adapters(copy.deepcopy(decoder.model), rank=2)

    def loss(model, batch):
        return model(**batch).logits[..., 3].mean()

    inputs = decoder.encode(PROMPTS)
    examples = [{name: value[row] for name, value in inputs.items()} for row in range(3)]
    train(adapted, examples, loss, Schedule(steps=2, batch=2, rate=0.1), tmp_path)
    found = open_tuned(decoder, tmp_path)
    assert not hasattr(found, "merge_and_unload")
    with torch.no_grad():
        torch.testing.assert_close(found(**inputs).logits, adapted.eval()(**inputs).logits, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in decoder.model.state_dict().items())
    with pytest.raises(TrainingError, match="trained on"):
        open_tuned(_other(decoder), tmp_path)


def _other(decoder):
    return Decoder(tiny_model(decoder.processor, seed=9), decoder.processor)
