"""What hooks keep of a pass, and what they leave alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from outrider.networks.transformers import Decoder
from outrider.networks.transformers.masking import replaced
from outrider.networks.transformers.prefill import PassHooks


def test_only_the_first_pass_is_kept(decoder_model):
    model = decoder_model("llama")
    decoder = Decoder(model)
    first, second = torch.tensor([[5, 6, 7]]), torch.tensor([[8, 9]])
    with PassHooks(model, decoder.backbone, keep=1) as recording, torch.no_grad():
        assert not recording.done
        model(first)
        logits = recording.kept.logits.clone()
        model(second)
    assert recording.done
    assert torch.equal(recording.arguments["input_ids"], first)
    assert [len(recording.kept.slices), len(recording.kept.states), recording.kept.whole.shape[1]] == [3, 3, 3]
    assert torch.equal(recording.kept.logits, logits)
    assert torch.equal(recording.kept.whole[:, -1], recording.kept.states[1])


def test_passes_of_other_threads_are_not_looked_at(decoder_model):
    """Neither are they recorded, nor does a head that is masked here change them."""
    model = decoder_model("llama")
    decoder = Decoder(model)
    own, other = torch.tensor([[5, 6, 7]]), torch.tensor([[8, 9, 10]])

    def elsewhere():
        with ThreadPoolExecutor(1) as pool, torch.no_grad():
            return pool.submit(lambda: model(other).logits).result()

    expected = elsewhere()
    with decoder.watching() as watch, torch.no_grad():
        assert torch.equal(elsewhere(), expected)
        assert watch.prefill is None
        model(own)
        elsewhere()
    assert torch.equal(watch.prefill.inputs["input_ids"], own)
    np.testing.assert_array_equal(watch.prefill.heads, decoder.prefill({"input_ids": own}).heads)
    with replaced(decoder.backbone.projections[0], torch.zeros_like), torch.no_grad():
        assert torch.equal(elsewhere(), expected)
        assert not torch.equal(model(other).logits, expected)


def test_a_failing_pass_leaves_no_hook_and_no_prefill(decoder_model):
    model = decoder_model("llama")
    decoder = Decoder(model)
    try:
        with decoder.watching() as watch:
            model(torch.tensor([[5, 1000]]))
    except IndexError:
        pass
    assert watch.prefill is None
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_what_a_prefill_holds_outlives_changes_of_the_cache(decoder_model):
    model = decoder_model("llama")
    decoder = Decoder(model)
    plain = decoder.prefill({"input_ids": torch.tensor([[5, 6, 7, 8]])})
    before = decoder.last_query(plain)
    with torch.no_grad():
        model(torch.tensor([[9]]), cache=plain.cache, use_cache=True)
    assert plain.cache.get_seq_length() == 5
    assert (decoder.last_query(plain) == before).all()
