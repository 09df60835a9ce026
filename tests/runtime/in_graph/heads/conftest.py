"""A tiny Llama in PyTorch, and the ONNX models that onnxruntime-genai's builder and torch.onnx make of it."""

from __future__ import annotations

import importlib.util
import sys
import warnings

import numpy as np
import pytest

from outrider.runtime.in_graph.heads.read_out import LinearReadOut

LAYERS, HEADS, SIZE = 2, 4, 16  # the operators of the builder take heads of 16, 32, 48, … numbers
UNKNOWN, START, END = "<unk>", "<s>", "</s>"
TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant"


@pytest.fixture(scope="session")
def read_out():
    """Three heads of two layers, not in the order of the layers."""
    weights = np.random.default_rng(5).normal(size=(3, SIZE)).astype(np.float32)
    facts = {
        "calibrated": "transformers, float32",
        "false_alarm_rate": 0.05,
        "n": 200,
        "realised": 0.045,
        "interval": [0.02, 0.08],
    }
    return LinearReadOut([(1, 2), (0, 3), (1, 0)], weights, 0.25, 0.5, LAYERS, HEADS, facts)


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """The folder of a random Llama with a tokenizer of whole words."""
    transformers = _transformers()
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=2, head_dim=SIZE, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
        pad_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    for weights in model.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    words = {UNKNOWN: 0, START: 1, END: 2, "user": 3, "assistant": 4, **{f"w{i}": i for i in range(5, 64)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, unk_token=UNKNOWN, pad_token=UNKNOWN
    )
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def decoder(llama):
    """The Llama as Outrider reads it."""
    from outrider.networks.transformers import open_decoder

    return open_decoder(llama)


@pytest.fixture(scope="session")
def built(llama, tmp_path_factory):
    """Folder of the model that the builder makes in a precision, with options of its own, once each."""
    if importlib.util.find_spec("onnxruntime_genai") is None:
        pytest.skip("needs onnxruntime-genai")
    made = {}

    def build(precision, *given):
        key = (precision, *given)
        if key not in made:
            folder = str(tmp_path_factory.mktemp(precision))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                before = list(sys.path)
                from onnxruntime_genai.models import builder

                options = builder.parse_extra_options(None, str(llama), folder, precision, "cpu", folder, list(given))
                builder.create_model(None, str(llama), folder, precision, "cpu", folder, **options)
                sys.path[:] = before
            made[key] = folder
        return made[key]

    return build


@pytest.fixture(scope="session")
def plain(llama, tmp_path_factory):
    """The Llama as torch.onnx writes it, softmax and products in nodes of their own; prompts padded on either side."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    model = _transformers().LlamaForCausalLM.from_pretrained(llama, attn_implementation="sdpa").eval()

    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, position_ids):
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
            ).logits

    path = tmp_path_factory.mktemp("plain") / "model.onnx"
    names = ["input_ids", "attention_mask", "position_ids"]
    ids = torch.arange(5, 19).reshape(2, 7)
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Bare(), (ids, torch.ones_like(ids), torch.arange(7).repeat(2, 1)), str(path), dynamo=True, verbose=False,
            input_names=names, output_names=["logits"], dynamic_shapes=dict.fromkeys(names, sizes),
        )  # fmt: skip
    return path


def _transformers():
    pytest.importorskip("torch")
    from outrider.networks.transformers import import_transformers

    if importlib.util.find_spec("transformers") is None:
        pytest.skip("needs transformers")
    return import_transformers()


@pytest.fixture(scope="session")
def prompts():
    """Prompts of random words: unsafe ones with some words that safe ones have not, and three disjoint safe sets."""
    rng = np.random.default_rng(7)

    def made(n, low, high):
        return [" ".join(f"w{word}" for word in rng.integers(low, high, 8)) for _ in range(n)]

    return {
        "unsafe": made(12, 5, 34),
        **{name: made(n, 30, 64) for name, n in (("safe", 12), ("held", 24), ("new", 4))},
    }


@pytest.fixture(scope="session")
def guard(decoder, prompts):
    """A calibrated guard of three heads."""
    from outrider.monitor.heads import HeadGuard

    made = HeadGuard(decoder, heads=3)
    made.search(prompts["unsafe"], prompts["safe"], permutations=2)
    made.calibrate(prompts["held"])
    return made


@pytest.fixture(scope="session")
def guard_file(guard, tmp_path_factory):
    path = tmp_path_factory.mktemp("guard") / "guard.outrider"
    guard.save(path)
    return path
