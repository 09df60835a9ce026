"""Tiny random models of every architecture, and a tokenizer of a hundred words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.transformers import import_transformers

transformers = import_transformers()

IMAGE = 98
TEXT = {
    "vocab_size": 99, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
VISION = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16,
    "patch_size": 8,
}  # fmt: skip
_ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
_QWEN = {"image_token_id": IMAGE, "vision_start_token_id": 97, "video_token_id": 96}
TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<s> system be kind {% endif %}"
    "{% for message in messages %}<s> {{ message['role'] }} {{ message['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant{% endif %}"
)
WORDS = (
    "<pad>", "<s>", "</s>", "<unk>", "system", "user", "assistant", "be", "kind", "how", "do", "i", "bake", "a", "cake",
    "build", "bomb", "what", "is", "the", "capital", "of", "france", "kill", "python", "process", "make", "me", "laugh",
    "tell", "story", "about", "dog", "cat", "house", "tree",
)  # fmt: skip


class Seeing(NamedTuple):
    """A vision-language model and the inputs of one prompt with a picture."""

    model: Any
    inputs: dict[str, torch.Tensor]


def _text(kind: str, config: str, **more: Any) -> Callable[[], Any]:
    return lambda: getattr(transformers, kind)(getattr(transformers, config)(**{**TEXT, **more}))


def _without_groups(kind: str, config: str, **more: Any) -> Callable[[], Any]:
    settings = {name: value for name, value in TEXT.items() if name != "num_key_value_heads"}
    return lambda: getattr(transformers, kind)(getattr(transformers, config)(**{**settings, **more}))


DECODERS: dict[str, Callable[[], Any]] = {
    "llama": _text("LlamaForCausalLM", "LlamaConfig"),
    "qwen2": _text("Qwen2ForCausalLM", "Qwen2Config"),
    "sliding": _text("MistralForCausalLM", "MistralConfig", sliding_window=6),
    "phi": _text("PhiForCausalLM", "PhiConfig"),
    "phi3": _text("Phi3ForCausalLM", "Phi3Config", sliding_window=7),
    "falcon": _without_groups("FalconForCausalLM", "FalconConfig", multi_query=True, alibi=False),
    "gemma2": _text("Gemma2ForCausalLM", "Gemma2Config", head_dim=8, sliding_window=6),
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=99, n_embd=32, n_layer=3, n_head=4, n_positions=64, bos_token_id=1,
                                eos_token_id=2)
    ),
    "neox": _without_groups("GPTNeoXForCausalLM", "GPTNeoXConfig"),
    "opt": _without_groups("OPTForCausalLM", "OPTConfig", ffn_dim=64, word_embed_proj_dim=32),
}  # fmt: skip


def _vision(kind: str, config: str, extra: dict[str, torch.Tensor], **settings: Any) -> Callable[[], tuple[Any, Any]]:
    return lambda: (getattr(transformers, kind)(getattr(transformers, config)(**settings)), extra)


def _frames(*shape: int) -> torch.Tensor:
    return torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape)


def _qwen_vision(**more: Any) -> dict[str, Any]:
    return {"depth": 2, "hidden_size": 32, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, **more}


LLAMA = {"model_type": "llama", **TEXT}
SEEING: dict[str, Callable[[], tuple[Any, dict[str, torch.Tensor]]]] = {
    "llava": _vision(
        "LlavaForConditionalGeneration", "LlavaConfig", {"pixel_values": _frames(1, 3, 16, 16)},
        vision_config={"model_type": "clip_vision_model", "projection_dim": 32, **VISION}, text_config=LLAMA,
        image_token_id=IMAGE, vision_feature_layer=-1,
    ),
    "llava-next": _vision(
        "LlavaNextForConditionalGeneration", "LlavaNextConfig",
        {"pixel_values": _frames(1, 2, 3, 16, 16), "image_sizes": torch.tensor([[16, 16]])},
        vision_config={"model_type": "clip_vision_model", "projection_dim": 32, **VISION}, text_config=LLAMA,
        image_token_id=IMAGE, vision_feature_layer=-1, image_grid_pinpoints=[[16, 16]],
    ),
    "idefics3": _vision(
        "Idefics3ForConditionalGeneration", "Idefics3Config", {"pixel_values": _frames(1, 1, 3, 16, 16)},
        vision_config=VISION, text_config=LLAMA, image_token_id=IMAGE, scale_factor=1, pad_token_id=0,
    ),
    "smolvlm": _vision(
        "SmolVLMForConditionalGeneration", "SmolVLMConfig", {"pixel_values": _frames(1, 1, 3, 16, 16)},
        vision_config=VISION, text_config=LLAMA, image_token_id=IMAGE, scale_factor=1, pad_token_id=0,
    ),
    "qwen2-vl": _vision(
        "Qwen2VLForConditionalGeneration", "Qwen2VLConfig",
        {"pixel_values": _frames(16, 96), "image_grid_thw": torch.tensor([[1, 4, 4]])},
        text_config={**TEXT, "rope_parameters": _ROPE}, vision_config=_qwen_vision(embed_dim=32, mlp_ratio=2), **_QWEN,
    ),
    "qwen2.5-vl": _vision(
        "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLConfig",
        {"pixel_values": _frames(16, 96), "image_grid_thw": torch.tensor([[1, 4, 4]])},
        text_config={**TEXT, "rope_parameters": _ROPE}, **_QWEN,
        vision_config=_qwen_vision(out_hidden_size=32, intermediate_size=64, window_size=16, fullatt_block_indexes=[1]),
    ),
    "internvl": _vision(
        "InternVLForConditionalGeneration", "InternVLConfig", {"pixel_values": _frames(1, 3, 16, 16)},
        vision_config={**VISION, "image_size": [16, 16], "patch_size": [4, 4]},
        text_config={"model_type": "qwen2", **TEXT}, image_token_id=IMAGE, downsample_ratio=0.5, image_seq_length=4,
    ),
}  # fmt: skip


def shaken(model: Any) -> Any:
    """The model in eval mode with weights that make its heads matter."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.08, generator=generator)
    return model.eval()


@pytest.fixture(scope="session")
def decoder_model() -> Callable[[str], Any]:
    """A tiny random model by its name among DECODERS, made anew for each call."""
    return lambda name: shaken(DECODERS[name]())


@pytest.fixture(scope="session")
def seeing() -> Callable[[str], Seeing]:
    """A tiny random vision-language model by its name among SEEING, and a prompt with a picture."""

    def make(name: str) -> Seeing:
        model, pictures = SEEING[name]()
        count = 10 if name == "llava-next" else 4
        ids = torch.tensor([[5, 97, *[IMAGE] * count, 11, 12, 13, 14, 15, 16]])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pictures}
        if "qwen" in name:
            inputs["mm_token_type_ids"] = (ids == IMAGE).int()
        return Seeing(shaken(model), inputs)

    return make


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A tokenizer of words with a chat template that adds a system prompt, as SmolLM2's does."""
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: index for index, word in enumerate(WORDS)}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        chat_template=TEMPLATE,
    )  # fmt: skip
