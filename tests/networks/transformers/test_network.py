"""Models of transformers as networks, against what their own modules compute."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.coverage import HeadCoverage
from outrider.monitor import MismatchError, Monitor, OutriderWarning, Status
from outrider.networks.adapting import is_network
from outrider.networks.transformers import TransformerNetwork, import_transformers

transformers = import_transformers()

HEADS, CHANNELS = 2, 16
IMAGE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": HEADS, "image_size": 16,
    "patch_size": 8,
}  # fmt: skip
TEXT = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": HEADS, "num_key_value_heads": 1, "max_position_embeddings": 24, "pad_token_id": 0,
}  # fmt: skip


def vit():
    config = transformers.ViTConfig(**IMAGE, num_labels=3, initializer_range=0.3)
    return transformers.ViTForImageClassification(config).eval()


def clip():
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**IMAGE)).eval()


def llama(**more):
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**TEXT, **more})).eval()


@pytest.fixture(scope="module", params=[vit, clip], ids=["vit", "clip tower"])
def picture_model(request):
    torch.manual_seed(0)
    return request.param()


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(0)
    return llama()


def pictures(n, seed=0, size=1.0):
    return size * np.random.default_rng(seed).normal(size=(n, 3, 16, 16)).astype(np.float32)


def prompts(n, seed=0, lowest=1):
    rng = np.random.default_rng(seed)
    return [rng.integers(lowest, 50, rng.integers(3, 10)).tolist() for _ in range(n)]


def test_runs_of_other_threads_are_not_heard_of():
    torch.manual_seed(0)
    model, batch = vit(), pictures(1)
    network = TransformerNetwork(model)
    expected = network.observe(batch)

    def disturbing(*_):
        thread = threading.Thread(target=lambda: projection(torch.ones(1, 5, 32)))
        handle.remove()
        thread.start()
        thread.join()

    projection = network._of._backbone.projections[-1]
    handle = projection.register_forward_hook(disturbing)
    seen = network.observe(batch)
    for one, other in zip(seen.activations, expected.activations, strict=True):
        np.testing.assert_array_equal(one, other)


def eager_heads(model, pixels):
    """softmax(QK)V of every layer from its attention weights and value projection, (layers, n, tokens, heads, dim)."""
    model.set_attn_implementation("eager")
    values = []
    holders = [module for name, module in model.named_modules() if name.endswith(("value", "v_proj"))]
    hooks = [m.register_forward_hook(lambda _m, _i, out: values.append(out)) for m in holders]
    with torch.no_grad():
        weights = model(pixel_values=torch.from_numpy(pixels), output_attentions=True).attentions
    for hook in hooks:
        hook.remove()
    model.set_attn_implementation("sdpa")
    split = [v.view(*v.shape[:2], HEADS, CHANNELS).transpose(1, 2) for v in values]
    return np.stack([(w @ v).transpose(1, 2).numpy() for w, v in zip(weights, split, strict=True)])


def test_the_heads_of_pictures_are_means_over_tokens_of_what_attention_returns(picture_model):
    network = TransformerNetwork(picture_model, neurons=("channel", "head"))
    batch = pictures(3)
    seen = network.observe(batch)
    heads = eager_heads(picture_model, batch)
    for layer in range(2):
        tap = network.taps[2 * layer]
        assert (tap.id, tap.kind, tap.layout) == (f"layers.{layer}:channel", "attention", "NLHC")
        assert tap.shape == (5, HEADS, CHANNELS)
        channel, rms = seen.activations[2 * layer : 2 * layer + 2]
        np.testing.assert_allclose(channel, heads[layer].mean(axis=1).reshape(3, -1), atol=1e-5)
        np.testing.assert_allclose(rms, np.sqrt((heads[layer] ** 2).mean(axis=(1, 3))), atol=1e-5)


def test_a_classifier_has_its_scores_and_a_tower_has_none(picture_model):
    network = TransformerNetwork(picture_model)
    assert is_network(network)
    seen = network.observe(torch.from_numpy(pictures(2)))
    with torch.no_grad():
        expected = picture_model(pixel_values=torch.from_numpy(pictures(2)))
    if network.classes is None:
        np.testing.assert_array_equal(seen.output.pooler_output, expected.pooler_output)
        assert seen.logits is None
        assert [tap.kind for tap in network.taps] == ["attention"] * 2
    else:
        assert network.classes == 3
        np.testing.assert_array_equal(seen.logits, expected.logits)
        np.testing.assert_array_equal(seen.activations[-1], expected.logits)
        assert network.taps[-1].kind == "output"
    assert not any(module._forward_pre_hooks for module in picture_model.modules())


def test_a_layer_is_selected_by_its_name_or_by_the_path_of_its_module(picture_model):
    paths = [tap.paths[0] for tap in TransformerNetwork(picture_model).taps[:2]]
    assert len(set(paths)) == 2
    for path in paths:
        assert isinstance(picture_model.get_submodule(path), torch.nn.Linear)
    for selector in ("layers.1", paths[1]):
        assert TransformerNetwork(picture_model, taps=selector).taps[0].name == "layers.1"


@pytest.mark.parametrize("pad_id", [0, 7])
def test_a_decoder_is_seen_at_the_last_token_however_long_its_padding(decoder, pad_id):
    network = TransformerNetwork(decoder, pad_id=pad_id)
    assert (network.input_shape, network.dtype, network.classes) == ((24,), "int64", None)
    given = [[token for token in prompt if token != pad_id] for prompt in prompts(4, lowest=1)]
    seen = network.observe(network.padded(given))
    tap = network.taps[1]
    assert (tap.shape, tap.size) == ((1, HEADS, CHANNELS), HEADS * CHANNELS)
    for row, prompt in enumerate(given):
        heads = []
        hooks = [
            layer.self_attn.o_proj.register_forward_pre_hook(lambda _m, args, into=heads: into.append(args[0]))
            for layer in decoder.model.layers
        ]
        with torch.no_grad():
            logits = decoder(input_ids=torch.tensor([prompt])).logits[0, -1]
        for hook in hooks:
            hook.remove()
        np.testing.assert_allclose(seen.output[row], logits, atol=1e-5)
        for layer in range(2):
            np.testing.assert_allclose(seen.activations[layer][row], heads[layer][0, -1], atol=1e-5)
    np.testing.assert_array_equal(network.run(network.padded(given)), seen.output)


def test_a_row_without_a_token_is_never_covered(decoder):
    network = TransformerNetwork(decoder, length=10)
    monitor = Monitor(network, "head")
    monitor.profile([network.padded(prompts(60))])
    monitor.calibrate([network.padded(prompts(60, seed=1))], 0.1)
    batch = network.padded(prompts(3, seed=2))
    alone = monitor.check(batch)[1]
    batch[1] = 0
    verdicts = monitor.check(batch)[1]
    assert np.isinf(verdicts.score[1])
    assert verdicts[1].status is not Status.OK
    np.testing.assert_array_equal(verdicts.score[[0, 2]], alone.score[[0, 2]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        profile = Monitor(network, "head").profile([batch])
    assert profile.trusted.non_finite == 1
    assert any(issubclass(warning.category, OutriderWarning) for warning in caught)


@pytest.mark.parametrize("make", [vit, llama], ids=["pictures", "tokens"])
def test_head_coverage_goes_through_profile_calibrate_save_load_and_check(make, tmp_path):
    torch.manual_seed(0)
    model = make()
    network = TransformerNetwork(model)
    of = pictures if network.dtype == "float32" else lambda n, seed=0: network.padded(prompts(n, seed))
    monitor = Monitor(network, "head")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        monitor.profile([of(80, seed) for seed in range(2)])
        monitor.calibrate([of(100, 5)], 0.1)
    assert {column.criterion for column in monitor.learned.columns} == {HeadCoverage(CHANNELS)}
    assert monitor.columns[0].startswith("layers.0:channel head")
    monitor.save(tmp_path / "heads.outrider")
    batch = of(20, 9)
    expected = monitor.check(batch)[1]
    again = Monitor.load(tmp_path / "heads.outrider", TransformerNetwork(model))
    np.testing.assert_array_equal(again.check(batch)[1].score, expected.score)
    assert again(batch[0])[1].score == expected.score[0]
    with pytest.raises(MismatchError, match="SHA-256"):
        Monitor.load(tmp_path / "heads.outrider", TransformerNetwork(make()))


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda: vit().train(), {}, ValueError, "expected a model in eval mode"),
        (lambda: torch.nn.Linear(2, 2), {}, TypeError, "expected a model of pictures or a decoder"),
        (lambda: transformers.BertModel(transformers.BertConfig(**{**IMAGE, "vocab_size": 9})).eval(), {}, TypeError,
         "got BertModel"),
        (lambda: llama(pad_token_id=None), {}, ValueError, "give pad_id="),
        (llama, {"pad_id": 50}, ValueError, "expected a pad token from 0 to 49, got 50; give pad_id="),
        (lambda: llama(pad_token_id=-1), {}, ValueError, "expected a pad token from 0 to 49, got -1; give pad_id="),
        (llama, {"length": 25}, ValueError, "expected a length of 1 to 24 tokens, got 25"),
        (vit, {"taps": "layers.9"}, ValueError, "layers.9"),
        (vit, {"classes": 5}, ValueError, "expected class scores of shape"),
        (vit, {"preprocessing": 3}, TypeError, "expected a Preprocessing or an image processor, got int"),
    ],
)  # fmt: skip
def test_what_it_cannot_observe_is_refused(make, options, error, message):
    with pytest.raises(error, match=message):
        TransformerNetwork(make(), **options)


def test_batches_that_do_not_fit_are_refused(decoder):
    images, tokens = TransformerNetwork(vit()), TransformerNetwork(decoder, length=6)
    for network, batch, error, message in (
        (images, pictures(2).astype(np.float64), TypeError, "expected a batch of dtype float32, got float64"),
        (images, pictures(2)[:, :, 1:], ValueError, r"expected a batch of shape \(n, 3, 16, 16\)"),
        (images, pictures(2)[:0], ValueError, "expected a batch of shape"),
        (tokens, np.zeros((2, 6), np.int32), TypeError, "expected a batch of dtype int64, got int32"),
        (tokens, np.full((2, 6), 50), ValueError, "expected tokens from 0 to 49, got 50 to 50"),
    ):
        with pytest.raises(error, match=message):
            network.observe(batch)
    for wrong in ([[]], [[1] * 7]):
        with pytest.raises(ValueError, match="expected prompts of 1 to 6 tokens"):
            tokens.padded(wrong)
    with pytest.raises(ValueError, match="expected prompts that begin with another token than the pad token, got 0"):
        tokens.padded([[3, 0], [0, 3]])
    with pytest.raises(TypeError, match="expected a decoder to pad prompts for"):
        images.padded([[1]])
    images.close()
    with pytest.raises(RuntimeError, match="expected an open network"):
        images.observe(pictures(2))
