"""LoRA: what gets one, that it changes nothing at first, and that it goes onto its own weights alone."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("peft")

from safetensors.torch import load_file

from outrider.networks.tuning import TrainingError, load_adapters, merged, with_adapters
from outrider.networks.tuning.weights import save_weights

from ...runtime.tiny_chat import tiny_llava, tiny_model, tiny_tokenizer
from ..transformers.conftest import DECODERS


def tiny(**changes):
    return tiny_model(tiny_tokenizer(), **changes)


def logits(model):
    with torch.no_grad():
        return model.eval()(torch.arange(3, 11)[None]).logits


def shaken(model):
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            weights.data.normal_(0, 0.2, generator=torch.Generator().manual_seed(2))
    return model


def adapted_layers(model):
    return {
        name.partition(".lora_A")[0].partition("base_model.model.")[2]
        for name in model.state_dict()
        if "lora_A" in name
    }


def test_at_first_nothing_changes_and_only_adapters_have_a_gradient():
    model, plain = with_adapters(tiny(), 4), tiny()
    assert torch.equal(logits(model), logits(plain))
    trained = [name for name, weights in model.named_parameters() if weights.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    seven = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
    seven += "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"
    assert adapted_layers(model) == {f"model.layers.{layer}.{name}" for layer in range(2) for name in seven}
    assert all(weights.shape[0] == 4 for name, weights in model.named_parameters() if "lora_A" in name)


@pytest.mark.parametrize("name", ["llama", "phi3", "falcon", "gpt2", "neox", "opt"])
def test_models_of_every_kind_get_adapters_in_each_layer(name):
    model = DECODERS[name]()
    count = model.config.num_hidden_layers
    found = adapted_layers(with_adapters(model, 2))
    assert all(any(f".{layer}." in one for one in found) for layer in range(count))
    assert not [one for one in found if "lm_head" in one or "embed" in one]


def test_the_sight_of_a_model_that_reads_pictures_is_left_alone():
    found = adapted_layers(with_adapters(tiny_llava()[0].model, 2))
    assert len(found) == 14
    assert not [name for name in found if "vision" in name or "projector" in name]
    assert adapted_layers(with_adapters(tiny_llava()[0].model, 2, targets=["linear_1"]))


def test_the_seed_fixes_the_first_values_and_nothing_else():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, again, other = (with_adapters(tiny(), 2, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_targets_of_the_callers_own():
    assert len(adapted_layers(with_adapters(tiny(), 2, targets=["q_proj"]))) == 2
    with pytest.raises(ValueError, match=r"among the linear layers down_proj, .*, v_proj, got no_such"):
        with_adapters(tiny(), 2, targets=["q_proj", "no_such"])


@pytest.mark.parametrize(
    ("change", "words"), [({"rank": 0}, "rank of"), ({"dropout": 1}, "dropout from"), ({"dropout": -1}, "dropout from")]
)
def test_values_out_of_their_range(change, words):
    with pytest.raises(ValueError, match=f"expected a {words}"):
        with_adapters(tiny(), **change)


def test_a_second_layer_of_adapters_is_refused_and_so_is_a_model_without_linear_layers():
    with pytest.raises(ValueError, match="got one with; merge them first"):
        with_adapters(with_adapters(tiny(), 2))
    with pytest.raises(ValueError, match=r"\(there are none\)"):
        with_adapters(torch.nn.Sequential(torch.nn.ReLU()))


def test_merged_is_the_sum(tmp_path):
    model = shaken(with_adapters(tiny(), 2, alpha=3))
    state = model.state_dict()
    prefix = "base_model.model.model.layers.1.mlp.up_proj"
    a, b = state[f"{prefix}.lora_A.default.weight"], state[f"{prefix}.lora_B.default.weight"]
    expected, before = state[f"{prefix}.base_layer.weight"] + 3 / 2 * (b @ a), logits(model)
    whole = merged(model)
    torch.testing.assert_close(whole.state_dict()["model.layers.1.mlp.up_proj.weight"], expected)
    torch.testing.assert_close(logits(whole), before, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="expected a model with adapters, got LlamaForCausalLM"):
        merged(whole)


@pytest.fixture
def stored(tmp_path):
    model = shaken(with_adapters(tiny(), 2))
    save_weights(model, tmp_path / "adapters")
    return tmp_path / "adapters", logits(model)


def test_stored_adapters_come_back_on_their_own_weights(stored):
    folder, expected = stored
    assert all("lora_" in name for name in load_file(folder / "adapter_model.safetensors"))
    model = load_adapters(tiny(), folder)
    assert torch.equal(logits(model), expected)
    assert not any(weights.requires_grad for weights in model.parameters())
    assert any(weights.requires_grad for weights in load_adapters(tiny(), folder, trainable=True).parameters())


def test_adapters_of_other_weights_are_refused(stored):
    folder, expected = stored
    with pytest.raises(TrainingError, match=r"the weights that the adapters were trained on \(\w{12}…\), got others"):
        load_adapters(tiny(seed=1), folder)
    one = tiny()
    one.lm_head.weight.data[3, 4] += 1e-3
    with pytest.raises(TrainingError, match="got others"):
        load_adapters(one, folder)
    assert not torch.equal(logits(load_adapters(tiny(seed=1), folder, check=False)), expected)
    with pytest.raises(TrainingError, match="expected adapters that fit LlamaForCausalLM, got: "):
        load_adapters(tiny(hidden_size=16), folder, check=False)


def test_a_fingerprint_that_is_missing_or_damaged(stored, tmp_path):
    folder, _ = stored
    (folder / "base.json").write_text("[]")
    with pytest.raises(TrainingError, match=r"base\.json: expected the fingerprint of weights"):
        load_adapters(tiny(), folder)
    (folder / "base.json").unlink()
    with pytest.raises(TrainingError, match=r"expected base\.json beside the adapters"):
        load_adapters(tiny(), folder)
    with pytest.raises(FileNotFoundError, match=r"without adapter_config\.json"):
        load_adapters(tiny(), tmp_path)


def test_the_fingerprint_is_that_of_the_weights_below(stored):
    from outrider.networks.tuning.weights import base_digest

    kept = json.loads((stored[0] / "base.json").read_text())
    assert kept == {"weights": base_digest(tiny()), "kind": "LlamaForCausalLM"}
    assert base_digest(with_adapters(tiny(), 2)) == kept["weights"] != base_digest(tiny(seed=1))
