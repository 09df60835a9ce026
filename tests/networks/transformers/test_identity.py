"""Settings that change what the same weights, or the same pictures, come to."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.transformers import Decoder, import_transformers
from outrider.networks.transformers.identity import computing_settings, picture_settings
from outrider.networks.transformers.prompts import Chat

from .conftest import TEXT

transformers = import_transformers()


def test_the_same_weights_that_turn_otherwise_are_another_model():
    def turning(theta):
        rope = {"rope_type": "default", "rope_theta": theta}
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**TEXT, rope_parameters=rope)).eval()

    torch.manual_seed(0)
    model, other, same = turning(10_000.0), turning(10.0), turning(10_000)
    for one in (other, same):
        one.load_state_dict(model.state_dict())
    prompt = {"input_ids": torch.arange(3, 20)[None]}
    here, there = (Decoder(one).prefill(prompt).heads for one in (model, other))
    assert np.abs(here - there).max() > 1e-4
    assert Decoder(model).fingerprint != Decoder(other).fingerprint
    assert Decoder(model).fingerprint == Decoder(same).fingerprint


def test_settings_of_towers_count_and_names_and_what_is_not_set_do_not():
    plain, other = transformers.LlavaConfig(), transformers.LlavaConfig(vision_feature_layer=-1)
    assert computing_settings(plain) != computing_settings(other)
    named = transformers.LlavaConfig()
    named.name_or_path, named.text_config.sliding_window = "elsewhere", None
    assert computing_settings(named) == computing_settings(plain)
    named.text_config.rms_norm_eps = float(np.float32(plain.text_config.rms_norm_eps))
    assert computing_settings(named) == computing_settings(plain)
    named.vision_config.layer_norm_eps *= 2
    assert computing_settings(named) != computing_settings(plain)


def test_another_image_processor_has_another_digest_and_a_saved_one_the_same(tokenizer, tmp_path):
    def processor(edge):
        seeing = transformers.CLIPImageProcessor(size={"shortest_edge": edge}, crop_size={"height": 16, "width": 16})
        return transformers.LlavaProcessor(seeing, tokenizer, patch_size=8, chat_template=tokenizer.chat_template)

    assert Chat(processor(16)).digest != Chat(processor(24)).digest
    processor(16).image_processor.save_pretrained(tmp_path)
    again = transformers.CLIPImageProcessor.from_pretrained(tmp_path)
    assert picture_settings(again) == picture_settings(processor(16).image_processor)
