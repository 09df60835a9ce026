"""Losses against sums by hand, and the reference that training does not reach."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from outrider.networks.transformers import import_transformers
from outrider.networks.tuning import (
    answer_loss,
    frozen_copy,
    mean_cross_entropy,
    preference,
    supervised,
    unlearning,
    with_adapters,
)


def by_hand(logits, labels):
    """In numpy, a token at a time."""
    rows = []
    for row, wanted in zip(logits.double().numpy(), labels.tolist(), strict=True):
        each = [
            np.log(np.exp(row[place - 1]).sum()) - row[place - 1][token]
            for place, token in enumerate(wanted)
            if token != -100 and place
        ]
        rows.append(np.mean(each) if each else 0.0)
    return rows


def test_the_mean_is_over_each_rows_labelled_tokens():
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[-100, 2, 3, 4, -100], [-100, -100, -100, -100, 6], [5, -100, -100, -100, -100]])
    found = mean_cross_entropy(logits, labels)
    assert found.shape == (3,)
    np.testing.assert_allclose(found.numpy(), by_hand(logits, labels), rtol=1e-6)
    assert found[2] == 0  # the label of a first token counts for nothing
    assert mean_cross_entropy(logits.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (3, 5, 7)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="expected logits"):
        mean_cross_entropy(torch.zeros(3, 5, 7), torch.zeros(shape, dtype=torch.long))


def batch(seed=0):
    """Two rows, the second padded; answers of two and three tokens."""
    ids = torch.randint(3, 20, (2, 8), generator=torch.Generator().manual_seed(seed))
    mask, labels = torch.ones_like(ids), ids.clone()
    mask[1, 6:] = 0
    labels[0, :6], labels[1, :3], labels[1, 6:] = -100, -100, -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.fixture
def pair_batch():
    return {"preferred": batch(0), "dispreferred": batch(1)}


@pytest.fixture(params=["llama", "gpt2"])
def causal(request):
    transformers = import_transformers()
    size = {"vocab_size": 20, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(0)
    if request.param == "llama":
        config = transformers.LlamaConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, initializer_range=0.3,
            **size,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config)
    config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=16, initializer_range=0.3, **size)
    return transformers.GPT2LMHeadModel(config)


def plain(model, inputs):
    """The mean loss of each row from a whole pass of the row alone, without padding."""
    found = []
    for row in range(2):
        length = int(inputs["attention_mask"][row].sum())
        logits = model(input_ids=inputs["input_ids"][row : row + 1, :length]).logits.detach()
        found += by_hand(logits, inputs["labels"][row : row + 1, :length])
    return np.array(found)


def test_an_answers_loss_is_that_of_a_whole_pass_of_the_row_alone(causal, pair_batch):
    model = causal.eval()
    for inputs in pair_batch.values():
        np.testing.assert_allclose(answer_loss(model, inputs).detach().numpy(), plain(model, inputs), rtol=1e-4)
    all_labelled = pair_batch["preferred"] | {"labels": pair_batch["preferred"]["input_ids"]}
    all_labelled["attention_mask"] = torch.ones_like(all_labelled["input_ids"])
    np.testing.assert_allclose(answer_loss(model, all_labelled).detach(), plain(model, all_labelled), rtol=1e-4)
    none = pair_batch["preferred"] | {"labels": torch.full((2, 8), -100)}
    assert answer_loss(model, none).tolist() == [0, 0]


def test_supervised_is_the_mean_of_the_preferred(causal, pair_batch):
    model = causal.eval()
    expected = plain(model, pair_batch["preferred"]).mean()
    for given in (pair_batch, pair_batch["preferred"]):
        value, parts = supervised(model, given)
        assert value.item() == pytest.approx(expected, rel=1e-4)
        assert parts == {"preferred": value.item()}


def test_unlearning_takes_a_tenth_of_the_dispreferred_away(causal, pair_batch):
    model = causal.eval()
    good, bad = (plain(model, pair_batch[side]).mean() for side in ("preferred", "dispreferred"))
    for weight, more in ((0.1, {}), (0.5, {"weight": 0.5}), (0, {"weight": 0})):
        value, parts = unlearning(model, pair_batch, **more)
        assert value.item() == pytest.approx(good - weight * bad, rel=1e-4)
        assert parts == pytest.approx({"preferred": good, "dispreferred": bad}, rel=1e-4)


def test_preference_is_the_papers_formula(causal, pair_batch):
    model, other = causal.eval(), frozen_copy(causal)
    for weights in other.parameters():
        weights.data.mul_(1.1)
    good, bad = (plain(model, pair_batch[side]) for side in ("preferred", "dispreferred"))
    good_before, bad_before = (plain(other, pair_batch[side]) for side in ("preferred", "dispreferred"))
    margin = 0.1 * (good_before - good) - 0.01 * (bad_before - bad)
    value, parts = preference(model, pair_batch, reference=other)
    assert value.item() == pytest.approx(np.log1p(np.exp(-margin)).mean(), rel=1e-5)
    assert parts["margin"] == pytest.approx(margin.mean(), rel=1e-3)
    margin = 2 * (good_before - good) - 3 * (bad_before - bad)
    value, _ = preference(model, pair_batch, reference=other, beta_preferred=2, beta_dispreferred=3)
    assert value.item() == pytest.approx(np.log1p(np.exp(-margin)).mean(), rel=1e-4)


def test_at_the_reference_itself_preference_is_the_logarithm_of_two(causal, pair_batch):
    value, parts = preference(causal.eval(), pair_batch, reference=frozen_copy(causal))
    assert value.item() == pytest.approx(math.log(2), rel=1e-6)
    assert parts["margin"] == pytest.approx(0, abs=1e-7)


def test_the_reference_stays_and_has_no_dropout(causal, pair_batch):
    model = causal.train()
    reference = frozen_copy(model).train()
    before = {name: one.clone() for name, one in reference.state_dict().items()}
    loss, _ = preference(model, pair_batch, reference=reference)
    loss.backward()
    assert reference.training  # as it was
    assert all(one.grad is None for one in reference.parameters())
    assert all(torch.equal(one, before[name]) for name, one in reference.state_dict().items())
    assert any(one.grad is not None for one in model.parameters())
    if type(model).__name__.startswith("GPT2"):  # its dropout is on in the model, off in the reference
        assert preference(model.eval(), pair_batch, reference=reference)[0].item() == pytest.approx(math.log(2))


def test_a_model_with_adapters_is_its_own_reference(causal, pair_batch):
    pytest.importorskip("peft")
    base = frozen_copy(causal)
    model = with_adapters(causal, 2)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            weights.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    for module in model.modules():
        module.training = False
    own, parts = preference(model, pair_batch)
    explicit, _ = preference(model, pair_batch, reference=base)
    assert parts["margin"] != 0
    assert own.item() == pytest.approx(explicit.item(), rel=1e-6)
    own.backward()
    assert {name for name, one in model.named_parameters() if one.grad is not None} == {
        name for name, one in model.named_parameters() if "lora_" in name
    }


def test_no_reference_for_a_model_without_adapters_is_refused(causal, pair_batch):
    with pytest.raises(ValueError, match="expected a frozen reference"):
        preference(causal, pair_batch)
