"""Layers, projections and norms found by what a model is, not by its name."""

from __future__ import annotations

import pytest
import torch

from outrider.networks.transformers import decoder_backbone, import_transformers, tower_backbone

transformers = import_transformers()


@pytest.mark.parametrize(
    ("name", "projection", "groups", "norm"),
    [
        ("llama", "o_proj", 2, "norm"),
        ("phi", "dense", 2, "final_layernorm"),
        ("phi3", "o_proj", 2, "norm"),
        ("gpt2", "c_proj", 4, "ln_f"),
        ("neox", "dense", 4, "final_layer_norm"),
        ("opt", "out_proj", 4, "final_layer_norm"),
    ],
)
def test_a_decoder_is_found_whatever_its_parts_are_called(decoder_model, name, projection, groups, norm):
    model = decoder_model(name)
    found = decoder_backbone(model)
    paths = {id(module): path for path, module in model.named_modules()}
    assert (found.heads, found.groups, found.head_dim, found.width, len(found.layers)) == (4, groups, 8, 32, 3)
    assert [paths[id(part)].rsplit(".", 1)[-1] for part in found.projections] == [projection] * 3
    assert paths[id(found.norm)].rsplit(".", 1)[-1] == norm


def test_of_a_model_that_sees_the_language_backbone_is_meant(seeing):
    model, _ = seeing("llava")
    found = decoder_backbone(model)
    assert found.stack is model.model.language_model
    assert len(found.layers) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**TOWER)),
        lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**TOWER)),
        lambda: transformers.CLIPTextModel(transformers.CLIPTextConfig(vocab_size=99, **SIZES)),
        lambda: transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**TOWER)),
    ],
    ids=["vit", "clip-vision", "clip-text", "siglip"],
)
def test_towers_are_found(make):
    model = make()
    found = tower_backbone(model)
    assert (len(found.layers), found.heads, found.head_dim, found.width) == (2, 4, 8, 32)
    assert all(isinstance(part, torch.nn.Linear) and part.in_features == 32 for part in found.projections)


SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
TOWER = {**SIZES, "image_size": 16, "patch_size": 8}


def test_a_layer_without_attention_is_named(decoder_model):
    model = decoder_model("llama")
    model.model.layers[1].self_attn = torch.nn.Identity()
    with pytest.raises(ValueError, match="layer 1: expected an attention"):
        decoder_backbone(model)


def test_what_is_no_model_of_transformers_is_refused():
    with pytest.raises(TypeError, match="with a decoder, got Linear"):
        decoder_backbone(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="an encoder of transformers, got Linear"):
        tower_backbone(torch.nn.Linear(2, 2))
