from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.monitor.mechanism import merged_copy, randomised, scaled, scalings  # noqa: E402

from .tiny import MODELS, gpt2, llama, sequences, shifted  # noqa: E402


def logits(model):
    inputs = sequences()
    with torch.no_grad():
        return model(input_ids=inputs.tokens, attention_mask=inputs.mask).logits


@pytest.mark.parametrize("name", MODELS)
def test_zero_is_the_base_and_one_the_tuned_model(name):
    base, tuned = shifted(MODELS[name])
    assert torch.equal(logits(scaled(base, tuned, 0)), logits(base))
    assert torch.equal(logits(scaled(base, tuned, 1)), logits(tuned))
    for ours, theirs in zip(scaled(base, tuned, 0).parameters(), base.parameters(), strict=True):
        assert torch.equal(ours.view(torch.int32), theirs.view(torch.int32))


def test_two_goes_as_far_again_and_leaves_the_models_alone():
    base, tuned = shifted(gpt2)
    before = [copy.deepcopy(model.state_dict()) for model in (base, tuned)]
    twice = dict(scaled(base, tuned, 2).named_parameters())
    for name, low in base.named_parameters():
        torch.testing.assert_close(twice[name] - low, 2 * (dict(tuned.named_parameters())[name] - low))
    for model, state in zip((base, tuned), before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_each_of_several_is_as_if_it_were_alone():
    base, tuned = shifted(llama)
    for alpha, model in scalings(base, tuned, (1.5, 0.5, 0)):
        assert torch.equal(logits(model), logits(scaled(base, tuned, alpha)))


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft 0.21 asks by that name
def test_adapters_are_merged_first():
    peft = pytest.importorskip("peft")
    base = llama()
    adapted = peft.get_peft_model(copy.deepcopy(base), peft.LoraConfig(r=2, target_modules=["down_proj", "q_proj"]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    adapted.eval()
    torch.testing.assert_close(logits(scaled(base, adapted, 1)), logits(adapted), rtol=1e-4, atol=1e-4)
    assert torch.equal(logits(scaled(base, adapted, 0)), logits(base))
    assert hasattr(adapted, "merge_and_unload")
    assert not torch.allclose(logits(adapted), logits(base))
    assert merged_copy(base) is base


def test_a_random_change_is_as_long_as_the_tuning_was():
    base, tuned = shifted(gpt2)
    other = dict(randomised(base, tuned, seed=4).named_parameters())
    again, different = (dict(randomised(base, tuned, seed=seed).named_parameters()) for seed in (4, 5))
    for name, low in base.named_parameters():
        step = dict(tuned.named_parameters())[name] - low
        torch.testing.assert_close((other[name] - low).norm(), step.norm(), rtol=1e-3, atol=1e-6)
        assert torch.equal(other[name], again[name])
        assert not torch.equal(other[name], different[name])


def test_other_models_and_numbers_are_refused():
    with pytest.raises(ValueError, match="other names"):
        scaled(gpt2(), llama(), 1)
    with pytest.raises(ValueError, match="in both models"):
        scaled(gpt2(), gpt2(n_inner=12), 1)
    with pytest.raises(ValueError, match="finite"):
        scaled(gpt2(), gpt2(), float("nan"))
