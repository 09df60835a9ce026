"""A language model of a few words in a folder, and the testbed's model on it: the same code, in miniature."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")

import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from benchmarks.heads.testbed import concepts, jailbreaks, model
from outrider.networks.transformers import Decoder, import_transformers

import_transformers()  # before peft, which imports it without our remedy
pytest.importorskip("peft")

SHAPE = model.Shape(width=16, layers=1, heads=2)
SPECIAL = ("<|unk|>", "<|im_start|>", "<|im_end|>")


def _words() -> list[str]:
    texts = [task.text for task in (*concepts.TASKS, *jailbreaks.ALIASES)]
    texts += [*concepts.NAMING, concepts.REFUSAL, *jailbreaks.ROLES, *jailbreaks.PREFIXES]
    texts += [c.word for c in concepts.CONCEPTS] + ["user assistant Picture Here is how to make remove the It is a"]
    return sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]", text)})


@pytest.fixture(scope="session")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny Llama that shares its embedding with its head, and a tokenizer of whole words."""
    transformers = import_transformers()
    folder = tmp_path_factory.mktemp("language")
    names = [*SPECIAL, *_words()]
    raw = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token=SPECIAL[0]))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token=SPECIAL[0], bos_token=SPECIAL[1], eos_token=SPECIAL[2], pad_token=SPECIAL[2]
    )
    tokenizer.chat_template = model.TEMPLATE
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=len(names), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
        pad_token_id=2, initializer_range=0.2,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def fresh(language: Path) -> tuple[Any, Any]:
    """The testbed's model and processor, not trained, to be changed."""
    torch.manual_seed(5)
    return model.assembled(language, SHAPE)


@pytest.fixture(scope="session")
def decoder(language: Path) -> Decoder:
    """The same, to be looked at only."""
    torch.manual_seed(5)
    found, processor = model.assembled(language, SHAPE)
    found.requires_grad_(requires_grad=False)
    return Decoder(found, processor)


@pytest.fixture(scope="session")
def things() -> dict[str, np.ndarray]:
    """Three pictures of each concept, each a bright bar at a height of its own."""
    found = {}
    for place, concept in enumerate(concepts.CONCEPTS):
        images = np.random.default_rng(place).integers(0, 40, (3, 28, 28)).astype(np.uint8)
        images[:, place : place + 4] = 255
        found[concept.word] = images
    return found
