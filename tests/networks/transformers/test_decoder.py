"""Heads read and masked, held to the published way and to plain runs of the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from outrider.networks.transformers import Decoder, import_transformers

from .conftest import TEXT, shaken

transformers = import_transformers()
LAYERS, HEADS = 3, 4
ALL = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]
PROJECTED = ("llama", "qwen2", "sliding", "phi", "gemma2", "opt")
"""Decoders whose queries come from a projection of their own, which the published way scales."""
SEEING = ("llava", "llava-next", "idefics3", "smolvlm", "qwen2-vl", "qwen2.5-vl", "internvl")
DECODERS = (*PROJECTED, "falcon", "phi3", "gpt2", "neox")


def degrees(a, b):
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a.astype(np.float64), b.astype(np.float64)))
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


def prompts(lengths=(11, 8)):
    """Tokens of some lengths, padded on the left."""
    longest = max(lengths)
    rows = torch.randint(3, 96, (len(lengths), longest), generator=torch.Generator().manual_seed(3))
    mask = torch.stack([(torch.arange(longest) >= longest - n).long() for n in lengths])
    return {"input_ids": rows * mask, "attention_mask": mask}


def published(decoder, inputs, head):
    """The final states with a head's query projection multiplied by 1e-5 (One-head Defense)."""
    layer, index = head
    attention = decoder.backbone.layers[layer].self_attn
    rows = slice(index * decoder.head_dim, (index + 1) * decoder.head_dim)
    before = {name: value.clone() for name, value in attention.q_proj.state_dict().items()}
    with torch.no_grad():
        for value in attention.q_proj.parameters():
            value[rows] *= 1e-5
    try:
        return decoder.prefill(inputs).final
    finally:
        attention.q_proj.load_state_dict(before)


def check_masking(decoder, inputs):
    plain = decoder.prefill(inputs, keep=0)
    whole = np.stack([decoder.full(plain, head) for head in ALL], 1)
    np.testing.assert_allclose(np.stack([decoder.exact(plain, head) for head in ALL], 1), whole, atol=1e-5)
    last = decoder.last_query(plain)
    np.testing.assert_allclose(np.stack([decoder.last_query(plain, [h])[:, 0] for h in ALL], 1), last, atol=1e-5)
    # In the last layer no position but the last reaches the final state.
    np.testing.assert_allclose(last[:, -HEADS:], whole[:, -HEADS:], atol=1e-5)
    return plain, whole


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("name", DECODERS)
def test_a_restart_equals_a_second_pass_and_all_heads_equal_each(decoder_model, name, backend):
    model = decoder_model(name)
    if (name, backend) == ("gemma2", "sdpa"):
        pytest.skip("transformers has no sdpa for Gemma 2")
    model.set_attn_implementation(backend)
    check_masking(Decoder(model), prompts())


@pytest.mark.parametrize("name", PROJECTED)
def test_masking_a_head_equals_the_published_way(decoder_model, name):
    decoder, inputs = Decoder(decoder_model(name)), prompts()
    plain = decoder.prefill(inputs)
    for head in ALL:
        theirs = degrees(published(decoder, inputs, head), plain.final)
        ours = degrees(decoder.full(plain, head), plain.final)
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
        assert theirs.min() > 0.02


@pytest.mark.parametrize("name", SEEING)
def test_vision_language_models_are_masked_in_the_published_way(seeing, name):
    model, inputs = seeing(name)
    decoder = Decoder(model)
    plain, whole = check_masking(decoder, inputs)
    for head in ((0, 3), (1, 0), (2, 2)):
        theirs = degrees(published(decoder, inputs, head), plain.final)
        np.testing.assert_allclose(degrees(whole[:, ALL.index(head)], plain.final), theirs, atol=1e-3)
        assert theirs.min() > 0.005


@pytest.mark.parametrize("name", ["llama", "gpt2", "llava", "qwen2-vl"])
def test_a_prefill_shows_what_the_model_computes(decoder_model, seeing, name):
    model, inputs = seeing(name) if name in SEEING else (decoder_model(name), prompts((9,)))
    decoder = Decoder(model)
    seen = []
    hook = decoder.backbone.projections[1].register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    with torch.no_grad():
        bare = model(**inputs, output_hidden_states=True)
    hook.remove()
    plain = decoder.prefill(inputs)
    np.testing.assert_allclose(plain.heads[:, 1], seen[0][:, -1].view(-1, HEADS, 8), atol=1e-6)
    np.testing.assert_allclose(plain.states[:, 1], bare.hidden_states[1][:, -1], atol=1e-6)
    np.testing.assert_allclose(plain.final, bare.hidden_states[-1][:, -1], atol=1e-6)
    np.testing.assert_allclose(plain.logits, bare.logits[:, -1], atol=1e-6)
    assert plain.lengths.tolist() == [inputs["input_ids"].shape[1]]


def test_a_head_of_a_group_gets_the_values_of_its_own_group(decoder_model):
    decoder = Decoder(decoder_model("llama"))
    plain = decoder.prefill(prompts((7,)))
    values = plain.cache.layers[2].values[0].numpy()
    both = []
    hook = decoder.backbone.projections[2].register_forward_hook(lambda _m, args, _o: both.append(args[0][0]))
    decoder.last_query(plain, [(2, 1), (2, 3)])
    hook.remove()
    rows = both[-1].view(2, HEADS, 8).numpy()
    np.testing.assert_allclose(rows[0, 1], values[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(rows[1, 3], values[1].mean(0), atol=1e-6)
    np.testing.assert_allclose(rows[0, 3], plain.heads[0, 2, 3], atol=1e-6)
    assert np.abs(values[0].mean(0) - values[1].mean(0)).max() > 1e-3


@pytest.mark.parametrize("name", ["llama", "sliding", "gpt2", "opt"])
def test_padding_on_either_side_changes_nothing(decoder_model, name):
    decoder, batch = Decoder(decoder_model(name)), prompts((11, 8))
    plain = decoder.prefill(batch)
    alone = decoder.prefill({"input_ids": batch["input_ids"][1:, 3:]})
    right = {name: torch.cat([value[:, 3:], value[:, :3]], 1) for name, value in batch.items()}
    moved = decoder.prefill({name: value[1:] for name, value in right.items()})
    for other in (alone, moved):
        np.testing.assert_allclose(other.heads[0], plain.heads[1], atol=1e-5)
        np.testing.assert_allclose(other.final[0], plain.final[1], atol=1e-5)
        np.testing.assert_allclose(decoder.last_query(other)[0], decoder.last_query(plain)[1], atol=1e-5)
        np.testing.assert_allclose(decoder.full(other, (0, 2))[0], decoder.full(plain, (0, 2))[1], atol=1e-5)


def test_masking_leaves_the_plain_cache_and_the_model_as_they_are(decoder_model):
    model = decoder_model("llama")
    decoder = Decoder(model)
    plain = decoder.prefill(prompts(), keep=0)
    before = [(layer.keys.clone(), layer.values.clone()) for layer in plain.cache.layers]
    decoder.last_query(plain)
    decoder.exact(plain, (0, 0))
    decoder.full(plain, (1, 1))
    for layer, (keys, values) in zip(plain.cache.layers, before, strict=True):
        assert torch.equal(layer.keys, keys)
        assert torch.equal(layer.values, values)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", ["llama", "llava", "qwen2-vl"])
def test_a_watched_generate_answers_as_bare_and_shows_its_prefill(decoder_model, seeing, name):
    model, inputs = seeing(name) if name in SEEING else (decoder_model(name), prompts())
    decoder = Decoder(model)
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    bare = model.generate(**inputs, **settings)
    with decoder.watching(keep=1) as watch:
        assert watch.prefill is None
        watched = model.generate(**inputs, **settings)
    assert torch.equal(watched, bare)
    own = decoder.prefill(inputs, keep=1)
    np.testing.assert_allclose(watch.prefill.heads, own.heads, atol=1e-6)
    np.testing.assert_allclose(decoder.last_query(watch.prefill), decoder.last_query(own), atol=1e-5)
    for way in (decoder.exact, decoder.full):
        np.testing.assert_allclose(way(watch.prefill, (1, 2)), decoder.full(own, (1, 2)), atol=1e-5)


def test_a_watched_pass_with_padding_behind_the_tokens_is_refused(decoder_model):
    model, inputs = decoder_model("llama"), prompts()
    decoder = Decoder(model)
    right = {name: value.flip(1) for name, value in inputs.items()}
    with decoder.watching() as watch, torch.no_grad():
        model(**right)
    with pytest.raises(ValueError, match="padded on the left"):
        _ = watch.prefill


def test_bfloat16_moves_angles_little_and_is_told_by_its_dtype(decoder_model):
    model, inputs = decoder_model("llama"), prompts()
    decoder = Decoder(model)
    plain = decoder.prefill(inputs)
    wide = degrees(decoder.last_query(plain), plain.final[:, None])
    fingerprint = decoder.fingerprint
    half = Decoder(model.to(torch.bfloat16))
    plain = half.prefill(inputs, keep=0)
    assert (half.dtype, plain.heads.dtype, decoder.dtype) == ("bfloat16", np.float32, "float32")
    narrow = degrees(half.last_query(plain), plain.final[:, None])
    assert 0 < np.abs(narrow - wide).max() < 2
    np.testing.assert_allclose(half.exact(plain, (1, 1)), half.full(plain, (1, 1)), atol=0.05)
    assert half.fingerprint != fingerprint


def test_soft_tokens_go_in_as_embeddings(decoder_model):
    model, inputs = decoder_model("llama"), prompts((6,))
    decoder = Decoder(model)
    with torch.no_grad():
        soft = model.get_input_embeddings()(inputs["input_ids"])
    np.testing.assert_allclose(decoder.prefill({"inputs_embeds": soft}).final, decoder.prefill(inputs).final, atol=1e-6)


def test_another_weight_has_another_fingerprint(decoder_model):
    model = decoder_model("llama")
    first = Decoder(model).fingerprint
    assert Decoder(decoder_model("llama")).fingerprint == first
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] += 1
    assert Decoder(model).fingerprint != first


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_adapters_of_peft_are_seen_with_their_model(decoder_model):
    peft = pytest.importorskip("peft")
    model, inputs = decoder_model("llama"), prompts()
    plain = Decoder(model).prefill(inputs).final
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["o_proj"], init_lora_weights=False)).eval()
    decoder = Decoder(adapted)
    seen = decoder.prefill(inputs, keep=0)
    assert np.abs(seen.final - plain).max() > 1e-3
    np.testing.assert_allclose(decoder.exact(seen, (0, 1)), decoder.full(seen, (0, 1)), atol=1e-5)


def test_bad_input_is_named(decoder_model):
    model = decoder_model("llama")
    decoder = Decoder(model)
    plain = decoder.prefill(prompts())
    with pytest.raises(ValueError, match="prefill that kept layer 1"):
        decoder.exact(plain, (1, 0))
    with pytest.raises(ValueError, match=r"within 3 layers x 4 heads, got layer 3 head 0"):
        decoder.full(plain, (3, 0))
    with pytest.raises(ValueError, match="at least one head"):
        decoder.last_query(plain, [])
    with pytest.raises(ValueError, match="at most 64 tokens, got 65"):
        decoder.prefill({"input_ids": torch.ones(1, 65, dtype=torch.long)})
    assert decoder.prefill({"input_ids": torch.ones(1, 64, dtype=torch.long)}).tokens == 64
    with pytest.raises(ValueError, match="processor to encode"):
        decoder.encode(["hello"])
    with pytest.raises(ValueError, match="eval mode"):
        Decoder(model.train())
    with pytest.raises(TypeError, match="with a decoder, got Linear"):
        Decoder(torch.nn.Linear(2, 2).eval())


def test_a_cache_that_forgot_the_prompt_is_refused(decoder_model):
    model, inputs = decoder_model("sliding"), prompts((11,))
    decoder = Decoder(model)
    with decoder.watching() as watch:
        model.generate(**inputs, max_new_tokens=2, do_sample=False, eos_token_id=None, pad_token_id=0)
    with pytest.raises(ValueError, match=r"2 groups x 11 tokens in the cache.*plain DynamicCache"):
        decoder.last_query(watch.prefill)
    cache = import_transformers().DynamicCache()
    with decoder.watching() as watch:
        model.generate(**inputs, cache=cache, max_new_tokens=2, do_sample=False, eos_token_id=None, pad_token_id=0)
    np.testing.assert_allclose(
        decoder.last_query(watch.prefill), decoder.last_query(decoder.prefill(inputs)), atol=1e-5
    )


def test_a_backend_of_ones_own_makes_way_for_a_mask_and_comes_back(decoder_model):
    transformers = import_transformers()
    asked = []

    def causal(module, query, key, value, mask, **more):
        """Attention that takes no mask, as flash attention does: full prompts and single tokens alone."""
        asked.append(query.shape[2])
        assert mask is None
        assert query.shape[2] in (1, key.shape[2])
        return transformers.integrations.sdpa_attention.sdpa_attention_forward(module, query, key, value, None, **more)

    transformers.AttentionInterface.register("causal_only", causal)
    transformers.AttentionMaskInterface.register("causal_only", lambda *_args, **_more: None)
    model = decoder_model("llama")
    inputs = {"input_ids": prompts((9,))["input_ids"]}
    expected = Decoder(model).last_query(Decoder(model).prefill(inputs))
    model.set_attn_implementation("causal_only")
    decoder = Decoder(model)
    plain = decoder.prefill(inputs, keep=0)
    np.testing.assert_allclose(decoder.last_query(plain), expected, atol=1e-5)
    np.testing.assert_allclose(decoder.exact(plain, (1, 1)), decoder.full(plain, (1, 1)), atol=1e-5)
    assert model.config._attn_implementation == "causal_only"
    assert [count for count in asked if count > 1] == [9] * 9  # one token more, once, to see what a masked head returns


def test_half_precision_of_either_kind_runs(decoder_model):
    decoder = Decoder(decoder_model("llama").to(torch.float16))
    plain = decoder.prefill(prompts(), keep=0)
    assert np.isfinite(decoder.last_query(plain)).all()
    np.testing.assert_allclose(decoder.exact(plain, (1, 1)), decoder.full(plain, (1, 1)), atol=0.05)


@pytest.mark.parametrize(
    ("kind", "config", "more"),
    [
        ("GptOssForCausalLM", "GptOssConfig", {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1}),
        ("BitNetForCausalLM", "BitNetConfig", {}),
    ],
)
def test_heads_that_return_no_mean_when_masked_are_refused(kind, config, more):
    """A sink among the keys and a norm behind the attention: the mean of the values would be silently wrong."""
    model = shaken(getattr(transformers, kind)(getattr(transformers, config)(**{**TEXT, **more})))
    for layer in model.model.layers:
        if hasattr(layer.self_attn, "sinks"):
            torch.nn.init.constant_(layer.self_attn.sinks, 1.0)
    decoder = Decoder(model)
    plain = decoder.prefill({"input_ids": torch.tensor([[5, 6, 7, 8]])}, keep=0)
    for masked in (decoder.full, decoder.exact, lambda prefill, head: decoder.last_query(prefill, [head])):
        with pytest.raises(ValueError, match=r"layer 0: .* stands behind the attention: take the statistic read_out"):
            masked(plain, (1, 2))
    assert plain.heads.shape == (1, 3, 4, 8)
