"""Models from folders and GGUF files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from outrider.networks.transformers import Decoder, open_decoder


@pytest.fixture
def folder(decoder_model, tokenizer, tmp_path):
    decoder_model("llama").save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_opens_as_what_was_saved(folder, decoder_model, tokenizer):
    opened = open_decoder(folder)
    assert opened.fingerprint == Decoder(decoder_model("llama")).fingerprint
    assert opened.encoding == Decoder(decoder_model("llama"), tokenizer).encoding
    assert (opened.dtype, opened.context, opened.system) == ("float32", 64, None)
    assert open_decoder(folder, dtype="bfloat16", system="be kind").dtype == "bfloat16"
    assert opened.prefill(opened.encode(["how do i bake a cake"])).final.shape == (1, 32)


def test_a_model_that_sees_opens_as_one(seeing, tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    model, inputs = seeing("llava")
    model.save_pretrained(tmp_path)
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    transformers.LlavaProcessor(
        image_processor=pictures, tokenizer=tokenizer, patch_size=8, vision_feature_select_strategy="default",
        chat_template=tokenizer.chat_template, num_additional_image_tokens=1,
    ).save_pretrained(tmp_path)  # fmt: skip
    opened = open_decoder(tmp_path)
    np.testing.assert_allclose(opened.prefill(inputs).final, Decoder(model).prefill(inputs).final, atol=1e-6)
    assert opened.chat.sees


def write_gguf(path):
    """A tiny Llama as GGUF, float32, with a vocabulary of single words. Returns its first value projection."""
    gguf = pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(40)
    letters = [*map(chr, range(97, 123)), *"0123456789", "</s>", "<s>", "ab", "Ġ"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(letters)
    writer.add_token_types([1] * 36 + [3, 3] + [1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(37)
    writer.add_eos_token_id(36)
    writer.add_chat_template("{% for m in messages %}<s>{{ m['content'] }}{% endfor %}</s>")
    shapes = {"token_embd": (40, 32), "output_norm": (32,), "output": (40, 32)}
    for block in range(2):
        shapes |= {f"blk.{block}.{name}": shape for name, shape in {
            "attn_norm": (32,), "ffn_norm": (32,), "attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32),
            "attn_output": (32, 32), "ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64),
        }.items()}  # fmt: skip
    tensors = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, values in tensors.items():
        writer.add_tensor(f"{name}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors["blk.0.attn_v"]


def test_a_gguf_file_opens_and_can_be_saved_as_a_folder(tmp_path):
    weights = write_gguf(tmp_path / "tiny.gguf")
    opened = open_decoder(tmp_path / "tiny.gguf")
    assert (opened.layers, opened.heads, opened.groups, opened.head_dim) == (2, 4, 2, 8)
    values = opened.model.model.layers[0].self_attn.v_proj.weight.detach().numpy()
    np.testing.assert_allclose(values, weights, atol=1e-6)
    assert open_decoder(tmp_path).fingerprint == opened.fingerprint
    opened.model.save_pretrained(tmp_path / "folder")
    opened.processor.save_pretrained(tmp_path / "folder")
    again = open_decoder(tmp_path / "folder")
    assert again.fingerprint == opened.fingerprint
    assert again.encoding == opened.encoding
    inputs = again.encode(["abc"])
    assert torch.equal(inputs["input_ids"], opened.encode(["abc"])["input_ids"])


def test_what_is_no_model_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="got no such thing"):
        open_decoder(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match=r"got 0 \.gguf files"):
        open_decoder(empty)
    with pytest.raises(ValueError, match="expected a device that torch has here, got 'nonsense'"):
        open_decoder(folder, device="nonsense")
    with pytest.raises(ValueError, match="a dtype among auto"):
        open_decoder(folder, dtype="int8")
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="expected a model that transformers can open"):
        open_decoder(folder)
    (folder / "config.json").write_text(json.dumps(["torn"]))
    with pytest.raises(ValueError, match="expected the configuration of a model"):
        open_decoder(folder)
