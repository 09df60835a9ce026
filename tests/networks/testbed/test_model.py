from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.testbed import new_model, open_model


def test_the_default_is_the_papers_size_with_small_embeddings():
    model = new_model(0)
    config = model.config
    assert (config.n_layer, config.n_head, config.n_embd, config.n_positions) == (6, 6, 192, 160)
    assert 2.6e6 < sum(one.numel() for one in model.parameters()) < 2.8e6
    assert float(model.get_input_embeddings().weight.detach().std()) == pytest.approx(0.02, abs=0.001)


def test_the_seed_fixes_the_weights_and_leaves_torchs_own_alone(tiny):
    torch.manual_seed(11)
    want = torch.rand(3)
    torch.manual_seed(11)
    one, two = tiny(), tiny()
    assert torch.equal(torch.rand(3), want)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    other = new_model(6, layers=1, heads=2, width=16)
    assert not torch.equal(one.get_input_embeddings().weight, other.get_input_embeddings().weight)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_each_kind_reads_a_sequence_and_is_opened_again(tiny, kind, tmp_path, language):
    model = tiny(kind=kind).eval()
    tokens = torch.from_numpy(language.draw("any", 2, language.rng("test")).tokens)
    model.save_pretrained(tmp_path)
    again = open_model(tmp_path)
    with torch.no_grad():
        assert torch.allclose(again(input_ids=tokens).logits, model(input_ids=tokens).logits, atol=1e-5)
    assert not again.training


def test_other_kinds_and_windows_too_small_are_refused(tiny):
    with pytest.raises(ValueError, match="expected a kind of model among gpt2, llama, got 'rnn'"):
        tiny(kind="rnn")
    assert tiny(window=113).config.n_positions == 113
    with pytest.raises(ValueError, match="expected a window of at least 113 tokens, got 112"):
        tiny(window=112)
